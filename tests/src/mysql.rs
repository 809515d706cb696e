//! A private MariaDB (or MySQL), never the system's own.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, Row};

use crate::data::Home;
use crate::mysql_servers;
use crate::ports;
use crate::process::Launch;
use crate::server::Server;

/// The user that the proxy and the tests log in as. It may do everything in databases whose name begins with
/// `holdfast`, and nothing elsewhere.
const USER: &str = "holdfast";

/// Who may do everything, on servers that replicate.
pub(crate) const ADMINISTRATOR: &str = "administrator";

/// Who replicas log in as at their primary.
pub(crate) const REPLICA: &str = "replica";

/// A running database server. One that was given by `HOLDFAST_MYSQL_URL` is used and never stopped.
#[derive(Debug)]
pub struct Mysql {
    /// `mysql://user:password@host:port`, without a database.
    base_url: String,
    private: Option<Private>,
}

#[derive(Debug)]
struct Private {
    server: Server,
    port: u16,
    password: String,
    role: Role,
}

/// What a private server is to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing.
    Alone,
    /// Replicas follow it.
    Primary,
    /// It follows a primary.
    Replica,
    /// One of several by deploy/mysql, which are told who is the primary; numbered from 1 on.
    OneOf { id: usize },
}

impl Mysql {
    /// Starts a server in `home` (a fresh test folder when absent) and waits until it answers. With
    /// `HOLDFAST_MYSQL_URL` set (`mysql://user:password@host:port`), that server is used instead.
    pub fn start(home: Option<&Home>) -> Result<Mysql> {
        match std::env::var("HOLDFAST_MYSQL_URL") {
            Ok(url) => Ok(Mysql {
                base_url: without_database(&url).to_owned(),
                private: None,
            }),
            Err(_) => Mysql::start_private(home),
        }
    }

    /// Starts a server of one's own, whatever the environment says: for tests that stop it.
    pub fn start_private(home: Option<&Home>) -> Result<Mysql> {
        Mysql::start_as(Role::Alone, home)
    }

    /// The same for one that replicas may follow.
    pub fn start_primary(home: Option<&Home>) -> Result<Mysql> {
        Mysql::start_as(Role::Primary, home)
    }

    pub(crate) fn start_as(role: Role, home: Option<&Home>) -> Result<Mysql> {
        let server = Server::new("MariaDB", Home::or_for_test(home, "mysql")?);
        let port = server.home().port("mysql", server.is_running())?;
        let password = server.home().secret("password")?;
        let base_url = format!("mysql://{USER}:{password}@127.0.0.1:{port}");
        let mysql = Mysql {
            base_url,
            private: Some(Private {
                server,
                port,
                password,
                role,
            }),
        };
        mysql.start_again()?;
        Ok(mysql)
    }

    /// The URL of one of its databases, password included.
    pub fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.base_url)
    }

    /// Whether the server is one of our own.
    pub fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// Creates a database unless it is there.
    pub fn create_database(&self, name: &str) -> Result<()> {
        let statement = format!("CREATE DATABASE IF NOT EXISTS `{name}`");
        blocking(async {
            let mut connection = MySqlConnection::connect(&self.url("")).await?;
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await?;
            Ok(())
        })
        .with_context(|| format!("cannot create the database {name}"))
    }

    /// The password of a private server's users.
    pub(crate) fn password(&self) -> Result<&str> {
        Ok(&self.private()?.password)
    }

    /// Runs a statement as the administrator of a private server that replicates.
    pub fn administer(&self, statement: impl Into<String>) -> Result<()> {
        let statement = statement.into();
        let private = self.private()?;
        let url = format!(
            "mysql://{ADMINISTRATOR}:{}@127.0.0.1:{}",
            private.password, private.port
        );
        blocking(async {
            let mut connection = MySqlConnection::connect(&url).await?;
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await?;
            Ok(())
        })
    }

    /// The port of a private server.
    pub fn port(&self) -> Result<u16> {
        Ok(self.private()?.port)
    }

    /// The private server itself: its folder, its pid, and to stop, kill or signal it.
    pub fn server(&self) -> Result<&Server> {
        Ok(&self.private()?.server)
    }

    /// Starts it on the same port and the same files if it does not run, and waits until it answers.
    pub fn start_again(&self) -> Result<()> {
        let private = self.private()?;
        private
            .server
            .ensure(|| launch(private), || greets(private.port))
    }

    fn private(&self) -> Result<&Private> {
        self.private
            .as_ref()
            .context("this database was given by HOLDFAST_MYSQL_URL and is not ours to manage")
    }
}

/// What a connection to the server is at.
#[derive(Debug)]
pub struct Session {
    /// The connection's id.
    pub id: u64,
    /// The database that it uses.
    pub database: Option<String>,
    /// The server's word for what it does, such as a lock that it waits for.
    pub state: Option<String>,
    /// The statement, if one runs.
    pub statement: Option<String>,
}

/// All connections to the server that its user may see.
///
/// Not by `information_schema.processlist`: there MySQL fails over statements with an id's bytes in them.
pub async fn sessions(connection: &mut MySqlConnection) -> Result<Vec<Session>> {
    let rows = sqlx::raw_sql("SHOW FULL PROCESSLIST").fetch_all(connection);
    let session = |row: &MySqlRow| -> Result<Session> {
        let text = |column: &str| -> Result<Option<String>> {
            let bytes: Option<Vec<u8>> = row.try_get_unchecked(column)?;
            Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        };
        Ok(Session {
            id: row.try_get_unchecked("Id")?,
            database: text("db")?,
            state: text("State")?,
            statement: text("Info")?,
        })
    };
    rows.await?.iter().map(session).collect()
}

fn launch(private: &Private) -> Result<Launch> {
    let home = private.server.home();
    let program = program();
    let data = home.path("data");
    if !data.exists() {
        create_data_folder(&program, home)?;
    }
    // Runs before the first connection is accepted, at every start, so every statement is one that may be repeated.
    // The names are one line each: that is what both servers take. Of several servers each makes its own, so that none
    // has a transaction which the others lack.
    let mut first_statements = String::new();
    if let Role::OneOf { .. } = private.role {
        first_statements += &format!(
            "SET SESSION sql_log_bin = 0;\n\
             CREATE USER IF NOT EXISTS '{REPLICA}'@'127.0.0.1' IDENTIFIED BY '{}';\n\
             GRANT REPLICATION SLAVE ON *.* TO '{REPLICA}'@'127.0.0.1';\n",
            private.password
        );
    }
    first_statements += &format!(
        "CREATE DATABASE IF NOT EXISTS holdfast;\n\
         CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1' IDENTIFIED BY '{}';\n\
         GRANT ALL PRIVILEGES ON `holdfast%`.* TO '{USER}'@'127.0.0.1';\n",
        private.password
    );
    if private.role != Role::Alone {
        first_statements += &format!(
            "CREATE USER IF NOT EXISTS '{ADMINISTRATOR}'@'127.0.0.1' IDENTIFIED BY '{}';\n\
             GRANT ALL PRIVILEGES ON *.* TO '{ADMINISTRATOR}'@'127.0.0.1';\n",
            private.password
        );
    }
    let first_statements = home.write_private("init.sql", &first_statements)?;
    let is_mariadb = is_mariadb(&program)?;
    let of_mysql: &[&str] = match is_mariadb {
        true => &[],
        // Its second protocol would listen everywhere; a folder of the system's would have to be there.
        false => &["--mysqlx=OFF", "--secure-file-priv=NULL"],
    };
    let of_role: Vec<String> = match private.role {
        Role::Alone => vec!["--skip-log-bin".into()],
        Role::Primary => vec!["--log-bin=binlog".into(), "--server-id=1".into()],
        Role::Replica => ["--skip-log-bin", "--server-id=2", "--relay-log=relay"]
            .map(String::from)
            .into(),
        Role::OneOf { id } => vec![format!("--server-id={id}")],
    };
    let defaults = match private.role {
        Role::OneOf { .. } => {
            let file = if is_mariadb {
                "mariadb.cnf"
            } else {
                "mysql.cnf"
            };
            option("--defaults-file", &mysql_servers::folder().join(file))
        }
        _ => "--no-defaults".into(),
    };
    let by_id: &[&str] = match private.role {
        Role::Primary | Role::Replica if !is_mariadb => {
            &["--gtid-mode=ON", "--enforce-gtid-consistency=ON"]
        }
        _ => &[],
    };
    Ok(Launch::new(program)
        .arg(defaults)
        .args(run_as())
        .arg(option("--datadir", &data))
        .arg(option("--tmpdir", &temporary_folder(home)?))
        .arg(option("--init-file", &first_statements))
        .arg(format!("--port={}", private.port))
        .args([
            "--bind-address=127.0.0.1",
            // Relative to the data folder: a socket's path may not be longer than 107 bytes.
            "--socket=mysqld.sock",
            "--pid-file=mysqld.pid",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--max-connections=700",
            "--innodb-buffer-pool-size=268435456",
        ])
        .args(of_role)
        .args(by_id)
        .args(of_mysql))
}

/// Whether private servers are MariaDB; otherwise they are MySQL.
pub(crate) fn starts_mariadb() -> Result<bool> {
    is_mariadb(&program())
}

/// `HOLDFAST_MYSQL_SERVER`, or Debian's MariaDB, which stands where only root's PATH looks.
fn program() -> OsString {
    let debian = "/usr/sbin/mariadbd";
    std::env::var_os("HOLDFAST_MYSQL_SERVER").unwrap_or_else(|| {
        let program = if Path::new(debian).exists() {
            debian
        } else {
            "mariadbd"
        };
        program.into()
    })
}

/// Creates the data folder under another name first, so that one half made is never taken for whole.
fn create_data_folder(server: &OsString, home: &Home) -> Result<()> {
    let unfinished = home.path("data.unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    let mut command = if is_mariadb(server)? {
        let mut command = Command::new("mariadb-install-db");
        command.args(["--no-defaults", "--skip-test-db"]);
        command
    } else {
        let mut command = Command::new(server);
        command.args(["--no-defaults", "--initialize-insecure"]);
        command
    };
    let output = command
        .args(run_as())
        .arg(option("--datadir", &unfinished))
        .arg(option("--tmpdir", &temporary_folder(home)?))
        .stdin(Stdio::null())
        .output()
        .context("cannot run mariadb-install-db; deploy/install.sh installs it")?;
    ensure!(
        output.status.success(),
        "the database's data folder cannot be created: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(fs::rename(unfinished, home.path("data"))?)
}

/// A server that starts removes every temporary table it finds in its folder for such, so servers must not share one.
fn temporary_folder(home: &Home) -> Result<PathBuf> {
    let folder = home.path("tmp");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn is_mariadb(server: &OsString) -> Result<bool> {
    let output = Command::new(server)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .with_context(|| {
            format!(
                "cannot run {}; deploy/install.sh installs it",
                server.to_string_lossy()
            )
        })?;
    Ok(String::from_utf8_lossy(&output.stdout).contains("MariaDB"))
}

/// As root the server wants to be told that this is meant.
fn run_as() -> Option<&'static str> {
    nix::unistd::geteuid().is_root().then_some("--user=root")
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push("=");
    option.push(path);
    option
}

/// Whether it sends its greeting: the first packet of the protocol, which begins with a length and protocol version 10.
fn greets(port: u16) -> bool {
    let greeting = || -> std::io::Result<[u8; 5]> {
        let mut stream = TcpStream::connect_timeout(&ports::local(port), Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut packet = [0; 5];
        stream.read_exact(&mut packet)?;
        Ok(packet)
    };
    greeting().is_ok_and(|packet| packet[4] == 10)
}

/// Waits for a future on a thread of its own, so that it may be called within a runtime and without one.
fn blocking<T: Send>(future: impl Future<Output = Result<T>> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = scope.spawn(move || runtime.block_on(future));
        thread
            .join()
            .unwrap_or_else(|_| bail!("the thread that talks to the database panicked"))
    })
}

fn without_database(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    match url[host..].find('/') {
        Some(slash) => &url[..host + slash],
        None => url,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_cut_from_a_given_url() {
        assert_eq!(
            without_database("mysql://a:b@host:3306/shop"),
            "mysql://a:b@host:3306"
        );
        assert_eq!(
            without_database("mysql://a:b@host:3306"),
            "mysql://a:b@host:3306"
        );
    }
}
