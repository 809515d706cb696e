//! A private Apache Kafka: one broker in KRaft mode or several, its jars fetched by Maven.

mod broker;
mod jars;

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
    TopicResult,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaErrorCode;

use self::broker::Broker;
pub use self::jars::{jars, must_fetch_jars};
use crate::data::Home;
use crate::server::Server;
use crate::{ports, wait};

const PATIENCE: Duration = Duration::from_secs(2);

/// Brokers, running or not: their addresses are known before they are started, so that the proxy can be told where a
/// broker will appear. Those that were given by `HOLDFAST_KAFKA_BROKERS` are used and never stopped.
#[derive(Debug)]
pub struct Kafka {
    brokers: String,
    /// None of our own, if they were given.
    private: Vec<Broker>,
}

impl Kafka {
    /// A broker's address, without starting it. With `HOLDFAST_KAFKA_BROKERS` set, that cluster is used instead.
    pub fn reserve(home: Option<&Home>) -> Result<Kafka> {
        match std::env::var("HOLDFAST_KAFKA_BROKERS") {
            Ok(brokers) => Ok(Kafka {
                brokers,
                private: Vec::new(),
            }),
            Err(_) => Kafka::reserve_private(home),
        }
    }

    /// A broker of one's own, whatever the environment says, without starting it.
    pub fn reserve_private(home: Option<&Home>) -> Result<Kafka> {
        let broker = Broker::reserve(Home::or_for_test(home, "kafka")?, 1)?;
        Ok(Kafka::of(vec![broker]))
    }

    /// So many brokers of a test's own, by deploy/kafka/cluster.properties, without starting them.
    pub fn reserve_cluster(brokers: usize) -> Result<Kafka> {
        let reserve = |id| Broker::reserve(Home::for_test("kafka")?, id);
        Ok(Kafka::of(
            (1..=brokers).map(reserve).collect::<Result<_>>()?,
        ))
    }

    fn of(private: Vec<Broker>) -> Kafka {
        let address = |broker: &Broker| format!("127.0.0.1:{}", broker.port);
        Kafka {
            brokers: private.iter().map(address).collect::<Vec<_>>().join(","),
            private,
        }
    }

    /// Starts what does not run, side by side, and waits until all answer: on the same ports and files every time. The
    /// jars must be there, or be had by Maven.
    pub fn start(&self) -> Result<()> {
        if self.private.is_empty() {
            return wait::until(
                format_args!("Kafka at {}", self.brokers),
                wait::START_DEADLINE,
                || Ok(self.answers().then_some(())),
            );
        }
        // A controller answers when it has found another one.
        thread::scope(|scope| {
            let starting: Vec<_> = (0..self.private.len())
                .map(|number| scope.spawn(move || self.start_broker(number)))
                .collect();
            starting.into_iter().try_for_each(|started| {
                started
                    .join()
                    .unwrap_or_else(|_| bail!("a thread that starts a broker panicked"))
            })
        })
    }

    /// Starts one of our own brokers, the first being 0, and waits until it answers. Of three at least one other must
    /// run.
    pub fn start_broker(&self, number: usize) -> Result<()> {
        let broker = self.broker_at(number)?;
        let address = format!("127.0.0.1:{}", broker.port);
        broker.server.ensure(
            || broker.launch(&self.private),
            || ports::accepts(broker.port) && answers(&address),
        )
    }

    /// How many brokers of our own there are.
    pub fn count(&self) -> usize {
        self.private.len()
    }

    /// One of our own brokers, the first being 0: its folder, its pid, and to stop, kill or signal it.
    pub fn broker(&self, number: usize) -> Result<&Server> {
        Ok(&self.broker_at(number)?.server)
    }

    fn broker_at(&self, number: usize) -> Result<&Broker> {
        let broker = self.private.get(number);
        broker.context("this Kafka was given by HOLDFAST_KAFKA_BROKERS and is not ours to manage")
    }

    /// Which broker leads a partition, the first being 0; `None` while nobody does.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<Option<usize>> {
        let metadata = metadata(&self.brokers, Some(topic))?;
        let topics = metadata.topics().iter();
        let mut partitions = topics.flat_map(|topic| topic.partitions());
        let found = partitions.find(|found| found.id() == partition);
        Ok(found.and_then(|found| usize::try_from(found.leader() - 1).ok()))
    }

    /// Whether every replica of every partition is in sync.
    pub fn is_in_sync(&self, topic: &str) -> Result<bool> {
        let metadata = metadata(&self.brokers, Some(topic))?;
        let topics = metadata.topics().iter();
        let mut partitions = topics.flat_map(|topic| topic.partitions());
        Ok(partitions.all(|found| found.isr().len() == found.replicas().len()))
    }

    /// The addresses to connect to.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The private broker itself, the first if there are several.
    pub fn server(&self) -> Result<&Server> {
        self.broker(0)
    }

    /// Whether the brokers are our own.
    pub fn is_private(&self) -> bool {
        !self.private.is_empty()
    }

    /// Creates a topic unless it is there. A broker that has only just started may be fenced, or not know its controller
    /// yet: it is asked again until it is neither.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = client_config(&self.brokers).create()?;
        // As many replicas as the brokers' own configuration says.
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
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
        let admin: AdminClient<DefaultClientContext> = client_config(&self.brokers).create()?;
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
        answers(&self.brokers)
    }
}

fn answers(brokers: &str) -> bool {
    metadata(brokers, None).is_ok_and(|metadata| !metadata.brokers().is_empty())
}

fn metadata(brokers: &str, topic: Option<&str>) -> Result<Metadata> {
    let consumer: BaseConsumer = client_config(brokers).create()?;
    Ok(consumer.fetch_metadata(topic, PATIENCE)?)
}

/// Says nothing on standard error about a broker that is not up yet.
fn client_config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set_log_level(RDKafkaLogLevel::Emerg);
    config
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
