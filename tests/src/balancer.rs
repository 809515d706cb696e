//! A load balancer before two proxies: HAProxy or nginx, with the configuration that deploy/ has for operators, TLS and a
//! certificate of its own.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use reqwest::{Certificate, Client, ClientBuilder};

use crate::data::{self, Home};
use crate::ports;
use crate::process::Launch;
use crate::proxy::Proxy;
use crate::server::Server;

/// Which program balances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// HAProxy, with deploy/haproxy/haproxy.cfg.
    Haproxy,
    /// nginx, with deploy/nginx/holdfast.conf.
    Nginx,
}

/// Where a proxy is.
#[derive(Debug, Clone)]
pub struct Behind {
    /// `host:port` of its API.
    pub api: String,
    /// `host:port` of its admin port.
    pub admin: String,
}

impl From<&Proxy> for Behind {
    fn from(proxy: &Proxy) -> Behind {
        let address = |url: String| url.trim_start_matches("http://").to_owned();
        Behind {
            api: address(proxy.url()),
            admin: address(proxy.admin_url()),
        }
    }
}

/// A balancer that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Balancer {
    server: Server,
    port: u16,
    plain_port: u16,
}

impl Balancer {
    /// Starts one before these proxies.
    pub fn start(kind: Kind, behind: [Behind; 2]) -> Result<Balancer> {
        Balancer::start_with(kind, behind, |configuration| configuration)
    }

    /// The same with a configuration that `change` has changed.
    pub fn start_with(
        kind: Kind,
        behind: [Behind; 2],
        change: impl FnOnce(String) -> String,
    ) -> Result<Balancer> {
        let name = match kind {
            Kind::Haproxy => "haproxy",
            Kind::Nginx => "nginx",
        };
        let home = Home::for_test(name)?;
        let balancer = Balancer {
            port: home.port("https", false)?,
            plain_port: home.port("http", false)?,
            server: Server::new("the balancer", home),
        };
        make_certificate(balancer.server.home())?;
        let launch = match kind {
            Kind::Haproxy => balancer.haproxy(behind, change)?,
            Kind::Nginx => balancer.nginx(behind, change)?,
        };
        let answers = || ports::accepts(balancer.port) && ports::accepts(balancer.plain_port);
        balancer.server.ensure(|| Ok(launch), answers)?;
        Ok(balancer)
    }

    /// Where clients find the shop.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Where it answers without TLS.
    pub fn plain_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.plain_port)
    }

    /// A client that knows the balancer's certificate.
    pub fn client(&self) -> Result<ClientBuilder> {
        let pem = fs::read(self.certificate())?;
        Ok(Client::builder().add_root_certificate(Certificate::from_pem(&pem)?))
    }

    /// The file of its certificate.
    pub fn certificate(&self) -> PathBuf {
        self.server.home().path(CERTIFICATE)
    }

    /// The server itself.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Addresses come as environment variables, as the file says.
    fn haproxy(
        &self,
        [first, second]: [Behind; 2],
        change: impl FnOnce(String) -> String,
    ) -> Result<Launch> {
        let home = self.server.home();
        let text = fs::read_to_string(data::checkout().join("deploy/haproxy/haproxy.cfg"))?;
        let file = home.path("haproxy.cfg");
        fs::write(&file, change(text))?;
        let both = home.path("both.pem");
        let pem = [fs::read(self.certificate())?, fs::read(home.path(KEY))?].concat();
        fs::write(&both, pem)?;
        let address = |port| format!("127.0.0.1:{port}");
        Ok(Launch::new(program("HOLDFAST_HAPROXY", "haproxy"))
            .args(["-db", "-f"])
            .arg(file)
            .env("HOLDFAST_BIND_HTTPS", address(self.port))
            .env("HOLDFAST_BIND_HTTP", address(self.plain_port))
            .env("HOLDFAST_CERTIFICATE", path_text(&both)?)
            .env("HOLDFAST_PROXY_1", first.api)
            .env("HOLDFAST_PROXY_2", second.api)
            .env("HOLDFAST_ADMIN_1", first.admin)
            .env("HOLDFAST_ADMIN_2", second.admin))
    }

    /// nginx reads no environment: the lines that an operator changes are changed here too. Around the file stands what
    /// Debian's nginx.conf has around it.
    fn nginx(
        &self,
        [first, second]: [Behind; 2],
        change: impl FnOnce(String) -> String,
    ) -> Result<Launch> {
        let home = self.server.home();
        let mut text = fs::read_to_string(data::checkout().join("deploy/nginx/holdfast.conf"))?;
        let lines = [
            ("server 127.0.0.1:8080 ", format!("server {} ", first.api)),
            ("server 127.0.0.1:8081 ", format!("server {} ", second.api)),
            ("listen 443 ", format!("listen 127.0.0.1:{} ", self.port)),
            (
                "listen 80;",
                format!("listen 127.0.0.1:{};", self.plain_port),
            ),
            (
                "/etc/holdfast/certificate.pem",
                path_text(&self.certificate())?.to_owned(),
            ),
            (
                "/etc/holdfast/key.pem",
                path_text(&home.path(KEY))?.to_owned(),
            ),
        ];
        for (written, wanted) in lines {
            ensure!(text.contains(written), "holdfast.conf has no '{written}'");
            text = text.replace(written, &wanted);
        }
        fs::write(home.path("holdfast.conf"), change(text))?;
        // One process, which is gone when it is killed: workers would outlive their master.
        let around = "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr notice;\n\
             events { worker_connections 4096; }\n\
             http {\n\
             access_log off;\nclient_body_temp_path body;\nproxy_temp_path proxy;\n\
             fastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n\
             include holdfast.conf;\n}\n";
        fs::write(home.path("nginx.conf"), around)?;
        Ok(Launch::new(program("HOLDFAST_NGINX", "nginx"))
            .arg("-p")
            .arg(&home.folder)
            .args(["-c", "nginx.conf", "-e", "stderr"]))
    }
}

const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// What the variable names, or Debian's program, which stands where only root's PATH looks.
fn program(variable: &str, name: &str) -> OsString {
    let debian = Path::new("/usr/sbin").join(name);
    std::env::var_os(variable).unwrap_or_else(|| match debian.exists() {
        true => debian.into(),
        false => name.into(),
    })
}

/// One that signs itself, for two days.
fn make_certificate(home: &Home) -> Result<()> {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=shop"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(home.path(KEY))
        .arg("-out")
        .arg(home.path(CERTIFICATE))
        .stdin(Stdio::null())
        .output()
        .context("cannot run openssl")?;
    ensure!(
        output.status.success(),
        "openssl makes no certificate: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}
