//! One seed, one history: shops that are opened, get into weather and come to rest, one after
//! the other.

use std::fmt;

use fastrand::Rng;

use crate::action::Action;
use crate::controls::Control;
use crate::dice::Weather;
use crate::history::{Happening, History};
use crate::statistics::Statistics;
use crate::world::World;

/// How often a shop comes to rest and gets into weather again.
const STORMS: usize = 3;

/// A shop in weather.
pub struct Simulation {
    /// The shop.
    pub(crate) world: World,
    /// The dice.
    pub(crate) rng: Rng,
    /// Everything that was counted.
    pub statistics: Statistics,
    seed: u64,
    shop: u64,
    history: History,
    steps: u64,
}

/// Something happened that must not.
#[derive(Clone, Debug)]
pub struct Breach {
    /// What.
    pub what: String,
    /// The seed that does it again.
    pub seed: u64,
    /// At which step of that seed.
    pub step: u64,
    /// In which of its shops.
    pub shop: u64,
    /// What led to it.
    pub recent: Vec<Happening>,
    /// The guard that was missing.
    pub control: Option<Control>,
}

/// Runs one seed until it has done so many steps and its last shop is at rest.
///
/// # Errors
/// The first breach.
pub fn run(seed: u64, steps: u64, control: Option<Control>) -> Result<Statistics, Breach> {
    let mut simulation = Simulation::new(seed, control);
    while simulation.steps < steps {
        simulation.run_shop()?;
    }
    Ok(simulation.statistics)
}

impl Simulation {
    /// A simulation that has not begun.
    pub fn new(seed: u64, control: Option<Control>) -> Self {
        Self {
            world: World::new(&[], 0, control),
            rng: Rng::with_seed(seed),
            statistics: Statistics::default(),
            seed,
            shop: 0,
            history: History::default(),
            steps: 0,
        }
    }

    /// A simulation of this shop, from here on.
    pub fn of(world: World) -> Self {
        let control = world.control;
        Self {
            world,
            ..Self::new(0, control)
        }
    }

    /// Opens a shop, and closes it when it has come to rest a few times.
    pub fn run_shop(&mut self) -> Result<(), Breach> {
        let mut weather = Weather::thrown(&mut self.rng);
        let stock: Vec<u64> = (0..weather.skus)
            .map(|_| self.rng.u64(0..=weather.stock))
            .collect();
        self.world = World::new(&stock, weather.proxies, self.world.control);
        self.world.is_cluster = weather.is_cluster;
        self.history.clear();
        self.shop += 1;
        self.statistics.shops += 1;
        let more = weather.orders;
        for _ in 0..self.rng.usize(1..=STORMS) {
            let steps = 100 + more as u64 * self.rng.u64(20..60);
            for _ in 0..steps {
                let action = weather.next(&self.world, &mut self.rng);
                self.act(action)?;
            }
            self.rest()?;
            self.world.books.reconciled();
            weather.orders += more;
        }
        self.statistics.count_endings(&self.world);
        Ok(())
    }

    /// Lets something happen, and looks whether it may.
    pub fn act(&mut self, action: Action) -> Result<(), Breach> {
        self.steps += 1;
        self.history.keep(self.steps, action, &self.world);
        self.statistics.count(&action, &self.world);
        self.world.act(action);
        self.breach()
    }

    /// The breach that there is by now.
    pub fn breach(&self) -> Result<(), Breach> {
        match &self.world.books.breach {
            None => Ok(()),
            Some((subject, what)) => Err(Breach {
                what: what.clone(),
                seed: self.seed,
                step: self.steps,
                shop: self.shop,
                recent: self.history.report(*subject, &self.world),
                control: self.world.control,
            }),
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            seed,
            step,
            shop,
            ..
        } = self;
        writeln!(f, "{what}")?;
        writeln!(
            f,
            "seed {seed}, step {step}, in its shop {shop}; before it:"
        )?;
        for happening in &self.recent {
            writeln!(f, "{happening}")?;
        }
        write!(
            f,
            "again: cargo run --release -p holdfast-simulation -- --seed {seed} --steps {step}"
        )?;
        match self.control {
            Some(control) => write!(f, " --control {}", control.name()),
            None => Ok(()),
        }
    }
}
