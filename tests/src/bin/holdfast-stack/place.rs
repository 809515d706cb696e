//! Where the stack of each shape lives: a folder, a file with its addresses, and a folder for each of its servers.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use holdfast_tests::data::{self, Home};
use holdfast_tests::process::Process;
use holdfast_tests::shape::Shape;

/// Which stack is meant. Those of other shapes have data of their own, and may run beside it.
#[derive(Args, Debug, Clone, Copy)]
pub struct Place {
    /// In which shape Redis comes.
    #[arg(long, value_enum, default_value_t)]
    pub shape: Shape,
}

impl Place {
    /// The stacks that may be there.
    pub fn all() -> impl Iterator<Item = Place> {
        Shape::value_variants()
            .iter()
            .map(|shape| Place { shape: *shape })
    }

    /// The folder of its servers.
    pub fn folder(self) -> PathBuf {
        data::root().join(self.name())
    }

    /// The file of its addresses.
    pub fn addresses(self) -> PathBuf {
        data::root().join(format!("{}.json", self.name()))
    }

    /// The lasting folder of a server.
    pub fn home(self, server: &str) -> Result<Home> {
        Home::detached(&self.folder(), server)
    }

    /// How it is started.
    pub fn command(self) -> &'static str {
        match self.shape {
            Shape::Standalone => "make up",
            Shape::Sentinel => "make sentinel",
            Shape::Cluster => "make cluster",
        }
    }

    /// The servers' folders, in the order in which they are stopped: the proxy first, so that it can finish what it has
    /// begun, and a Sentinel before what it watches, which it would replace.
    pub fn servers(self) -> Vec<String> {
        let numbered =
            |name: &str, count| (1..=count).map(move |n| format!("{name}-{n}")).collect();
        let (sentinels, servers): (Vec<String>, Vec<String>) = match self.shape {
            Shape::Standalone => (Vec::new(), vec!["redis".to_owned()]),
            Shape::Sentinel => (numbered("sentinel", 3), numbered("redis", 3)),
            Shape::Cluster => (Vec::new(), numbered("redis", 6)),
        };
        let others = ["proxy", "payment", "kafka", "mysql"].map(str::to_owned);
        [others.to_vec(), sentinels, servers].concat()
    }

    /// The process of a server, if it runs.
    pub fn process(self, server: &str) -> Option<Process> {
        Process::find(&self.folder().join(server))
    }

    /// Whether any of it runs.
    pub fn runs(self) -> bool {
        self.servers()
            .iter()
            .any(|name| self.process(name).is_some())
    }

    fn name(self) -> &'static str {
        match self.shape {
            Shape::Standalone => "stack",
            Shape::Sentinel => "stack-sentinel",
            Shape::Cluster => "stack-cluster",
        }
    }
}
