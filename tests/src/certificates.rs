//! Certificates for 127.0.0.1, and the authority that vouches for them, made by openssl.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use redis::TlsCertificates;
use tokio_rustls::rustls::crypto::aws_lc_rs;

use crate::data::Home;

/// The files, as PEM.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The certificate of the authority.
    pub authority: PathBuf,
    /// That of 127.0.0.1, for a server and for a client.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes them in `home`.
    pub fn make(home: &Home) -> Result<Certificates> {
        let files = Certificates {
            authority: home.path("ca.crt"),
            certificate: home.path("server.crt"),
            key: home.path("server.key"),
        };
        let openssl = |words: &str| {
            let output = Command::new("openssl")
                .args(words.split(' '))
                .current_dir(&home.folder)
                .output()
                .context("cannot run openssl")?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "openssl {words}: {said}");
            Ok(())
        };
        openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority \
             -keyout ca.key -out ca.crt",
        )?;
        openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
             -keyout server.key -out server.csr",
        )?;
        openssl(
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy \
             -out server.crt",
        )?;
        Ok(files)
    }

    /// A client that believes servers with such a certificate, and shows none of its own.
    pub fn client(&self, url: &str) -> Result<redis::Client> {
        // Fails when there is one already.
        let _installed = aws_lc_rs::default_provider().install_default();
        let trusted = TlsCertificates {
            client_tls: None,
            root_cert: Some(std::fs::read(&self.authority)?),
        };
        Ok(redis::Client::build_with_tls(url, trusted)?)
    }
}
