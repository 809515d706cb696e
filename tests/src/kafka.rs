//! A private Apache Kafka: one broker in KRaft mode, its jars fetched by Maven.

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
    TopicResult,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;

use crate::data::{self, Home};
use crate::process::Launch;
use crate::server::Server;
use crate::{ports, wait};

/// Fetching 45 MB over a slow line.
const FETCH_DEADLINE: Duration = Duration::from_secs(300);
/// A registry that fails once often answers when it is asked again.
const FETCH_ATTEMPTS: u32 = 4;
/// Any valid id does: it says to which cluster a data folder belongs.
const CLUSTER_ID: &str = "aG9sZGZhc3QtbG9jYWwtMQ";

/// A broker, running or not: its address is known before it is started, so that the proxy can be told where a broker
/// will appear. One that was given by `HOLDFAST_KAFKA_BROKERS` is used and never stopped.
#[derive(Debug)]
pub struct Kafka {
    brokers: String,
    private: Option<Private>,
}

#[derive(Debug)]
struct Private {
    server: Server,
    port: u16,
    controller_port: u16,
}

impl Kafka {
    /// A broker's address, without starting it. With `HOLDFAST_KAFKA_BROKERS` set, that cluster is used instead.
    pub fn reserve(home: Option<&Home>) -> Result<Kafka> {
        match std::env::var("HOLDFAST_KAFKA_BROKERS") {
            Ok(brokers) => Ok(Kafka {
                brokers,
                private: None,
            }),
            Err(_) => Kafka::reserve_private(home),
        }
    }

    /// A broker of one's own, whatever the environment says, without starting it.
    pub fn reserve_private(home: Option<&Home>) -> Result<Kafka> {
        let server = Server::new("Kafka", Home::or_for_test(home, "kafka")?);
        let running = server.is_running();
        let port = server.home().port("kafka", running)?;
        let controller_port = server.home().port("controller", running)?;
        let brokers = format!("127.0.0.1:{port}");
        Ok(Kafka {
            brokers,
            private: Some(Private {
                server,
                port,
                controller_port,
            }),
        })
    }

    /// Starts it unless it runs, and waits until it answers: on the same port and files every time. The jars must be
    /// there, or be had by Maven.
    pub fn start(&self) -> Result<()> {
        let Some(private) = &self.private else {
            return wait::until(
                format_args!("Kafka at {}", self.brokers),
                wait::START_DEADLINE,
                || Ok(self.answers().then_some(())),
            );
        };
        private.server.ensure(
            || launch(private),
            || ports::accepts(private.port) && self.answers(),
        )
    }

    /// The addresses to connect to.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The private broker itself: its folder, its pid, and to stop, kill or signal it.
    pub fn server(&self) -> Result<&Server> {
        let private = self.private.as_ref();
        Ok(&private
            .context("this Kafka was given by HOLDFAST_KAFKA_BROKERS and is not ours to manage")?
            .server)
    }

    /// Whether the broker is one of our own.
    pub fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// Creates a topic unless it is there. A broker that has only just started may be fenced, or not know its controller
    /// yet: it is asked again until it is neither.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client_config().create()?;
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let mut refusal = None;
        let created = wait::until(
            format_args!("Kafka to create the topic {name}"),
            wait::START_DEADLINE,
            || {
                let asked = admin.create_topics([&topic], &AdminOptions::new());
                refusal = refused(futures::executor::block_on(asked))?;
                match refusal {
                    None => Ok(Some(())),
                    Some(code) if passes(code) => Ok(None),
                    Some(_) => bail!("it will not be created"),
                }
            },
        );
        match refusal {
            None => created,
            Some(code) => created.with_context(|| format!("the topic {name} is refused: {code}")),
        }
    }

    /// Sets a setting of a topic, such as `max.message.bytes`; the topic's other settings become defaults.
    pub async fn set_topic(&self, topic: &str, setting: &str, value: &str) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client_config().create()?;
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(setting, value);
        for changed in admin.alter_configs([&change], &AdminOptions::new()).await? {
            if let Err((_, code)) = changed {
                bail!("{setting} of {topic} cannot be set: {code}");
            }
        }
        Ok(())
    }

    /// Whether the brokers tell of at least one broker.
    pub fn answers(&self) -> bool {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set_log_level(RDKafkaLogLevel::Emerg);
        let metadata = config
            .create::<BaseConsumer>()
            .and_then(|consumer| consumer.fetch_metadata(None, Duration::from_secs(2)));
        metadata.is_ok_and(|metadata| !metadata.brokers().is_empty())
    }

    /// Says nothing on standard error about a broker that is not up yet.
    fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set_log_level(RDKafkaLogLevel::Emerg);
        config
    }
}

/// Why a topic was not created, unless it was, or is there.
fn refused(answer: KafkaResult<Vec<TopicResult>>) -> Result<Option<RDKafkaErrorCode>> {
    let code = match answer {
        Ok(topics) => topics
            .into_iter()
            .find_map(Result::err)
            .map(|(_, code)| code),
        Err(KafkaError::AdminOp(code)) => Some(code),
        Err(error) => return Err(error.into()),
    };
    Ok(code.filter(|code| *code != RDKafkaErrorCode::TopicAlreadyExists))
}

/// True of what a broker that is about to serve may answer. "Replication factor" is its word for being fenced.
fn passes(refusal: RDKafkaErrorCode) -> bool {
    matches!(
        refusal,
        RDKafkaErrorCode::InvalidReplicationFactor
            | RDKafkaErrorCode::NotController
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
    )
}

/// The folder of Kafka's jars: `HOLDFAST_KAFKA_JARS`, or the cache, which Maven fills once.
///
/// The cache is named after the pom's content, so that another version of Kafka is fetched anew.
pub fn jars() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("HOLDFAST_KAFKA_JARS") {
        let folder = PathBuf::from(given);
        ensure!(
            has_jars(&folder),
            "HOLDFAST_KAFKA_JARS names {}, where no jar is",
            folder.display()
        );
        return Ok(folder);
    }
    // One fetch at a time in this process: the others find its jars.
    static FETCHING: Mutex<()> = Mutex::new(());
    let _fetching = FETCHING.lock().unwrap_or_else(PoisonError::into_inner);
    let cached = cached_jars()?;
    if !has_jars(&cached) {
        fetch_patiently(&cached)?;
    }
    Ok(cached)
}

/// Whether [`jars`] will have to ask the network.
pub fn must_fetch_jars() -> bool {
    std::env::var_os("HOLDFAST_KAFKA_JARS").is_none()
        && !cached_jars().is_ok_and(|folder| has_jars(&folder))
}

fn cached_jars() -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    fs::read(pom())?.hash(&mut hasher);
    Ok(data::cache_folder().join(format!("kafka-jars-{:016x}", hasher.finish())))
}

fn pom() -> PathBuf {
    data::checkout().join("deploy/kafka/pom.xml")
}

fn has_jars(folder: &Path) -> bool {
    let jar = |entry: fs::DirEntry| {
        entry
            .path()
            .extension()
            .is_some_and(|ending| ending == "jar")
    };
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(jar))
}

fn fetch_patiently(folder: &Path) -> Result<()> {
    let mut pause = Duration::from_secs(2);
    for attempt in 1..FETCH_ATTEMPTS {
        match fetch_jars(folder) {
            Ok(()) => return Ok(()),
            // Maven did not even start.
            Err(error) if error.is::<std::io::Error>() => return Err(error),
            Err(error) => eprintln!("attempt {attempt} of {FETCH_ATTEMPTS}: {error:#}"),
        }
        std::thread::sleep(pause);
        pause *= 3;
    }
    fetch_jars(folder)
}

/// Fetches into a folder of this process and renames it at the end, so that jars half fetched are never taken for whole
/// and two processes at once do not disturb each other.
fn fetch_jars(folder: &Path) -> Result<()> {
    let unfinished = folder.with_extension(format!("unfinished-{}", std::process::id()));
    fs::create_dir_all(&unfinished)?;
    let fetched = run_maven(&unfinished).and_then(|()| match fs::rename(&unfinished, folder) {
        // Another process was faster.
        Err(_) if has_jars(folder) => Ok(()),
        renamed => Ok(renamed?),
    });
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fetched
}

fn run_maven(output: &Path) -> Result<()> {
    let log = output.with_extension("log");
    let log_file = fs::File::create(&log)?;
    let mut maven = Command::new("mvn")
        .args(["--batch-mode", "--quiet", "--update-snapshots", "--file"])
        .arg(pom())
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", output.display()))
        .stdin(Stdio::null())
        .stdout(log_file.try_clone()?)
        .stderr(log_file)
        .spawn()
        .context("cannot run Maven (mvn), which fetches Kafka's jars")?;
    let status = wait::until("Maven to fetch Kafka's jars", FETCH_DEADLINE, || {
        Ok(maven.try_wait()?)
    });
    if status.is_err() {
        maven.kill()?;
        maven.wait()?;
    }
    let words = fs::read_to_string(&log).unwrap_or_default();
    fs::remove_file(&log)?;
    if status?.success() {
        return Ok(());
    }
    let reason = words
        .lines()
        .find(|line| line.contains("ERROR"))
        .unwrap_or("it gave no reason");
    bail!("Maven could not fetch Kafka's jars: {reason}")
}

fn launch(private: &Private) -> Result<Launch> {
    let home = private.server.home();
    let jars = jars()?;
    let log_dirs = home.path("data");
    let overrides = [
        format!("log.dirs={}", log_dirs.display()),
        format!(
            "listeners=PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}",
            private.port, private.controller_port
        ),
        format!(
            "advertised.listeners=PLAINTEXT://127.0.0.1:{}",
            private.port
        ),
        format!(
            "controller.quorum.voters=1@127.0.0.1:{}",
            private.controller_port
        ),
    ];
    if !log_dirs.join("meta.properties").exists() {
        format_storage(home, &jars, &overrides)?;
    }
    let mut launch = Launch::new(java())
        .args(java_options(&jars))
        .arg("kafka.Kafka")
        .arg(configuration("server.properties"));
    for setting in overrides {
        launch = launch.arg("--override").arg(setting);
    }
    Ok(launch)
}

/// KRaft wants its folder marked with the cluster's id before the first start.
fn format_storage(home: &Home, jars: &Path, overrides: &[String]) -> Result<()> {
    let base = fs::read_to_string(configuration("server.properties"))?;
    let settings = home.path("format.properties");
    fs::write(&settings, format!("{base}\n{}\n", overrides.join("\n")))?;
    let output = Command::new(java())
        .args(java_options(jars))
        .args([
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            CLUSTER_ID,
            "--config",
        ])
        .arg(&settings)
        .stdin(Stdio::null())
        .output()
        .context("cannot run Java, which Kafka needs")?;
    ensure!(
        output.status.success(),
        "Kafka's storage cannot be formatted: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn java() -> OsString {
    std::env::var_os("HOLDFAST_JAVA").unwrap_or_else(|| "java".into())
}

/// A small heap, and the settings with which a JVM starts soonest rather than runs fastest.
fn java_options(jars: &Path) -> Vec<OsString> {
    let mut logging = OsString::from("-Dlog4j2.configurationFile=");
    logging.push(configuration("log4j2.properties"));
    let options = [
        "-Xmx512m",
        "-Xms128m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-cp",
    ];
    let mut arguments = vec![logging];
    arguments.extend(options.map(OsString::from));
    arguments.push(jars.join("*").into_os_string());
    arguments
}

fn configuration(name: &str) -> PathBuf {
    data::checkout().join("deploy/kafka").join(name)
}
