//! The payment sandbox as a process of its own.

use anyhow::Result;

use crate::data::{self, Home};
use crate::probe;
use crate::process::Launch;
use crate::server::Server;

/// A running payment sandbox.
#[derive(Debug)]
pub struct Payment {
    server: Server,
    port: u16,
}

impl Payment {
    /// Starts it in `home` (a fresh test folder when absent) and waits until it answers.
    pub fn start(home: Option<&Home>) -> Result<Payment> {
        let server = Server::new("the payment sandbox", Home::or_for_test(home, "payment")?);
        let port = server.home().port("payment", server.is_running())?;
        let payment = Payment { server, port };
        payment.start_again()?;
        Ok(payment)
    }

    /// Where its API is, such as `http://127.0.0.1:20001`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The server itself: its folder, its pid, and to stop, kill or signal it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Starts it on the same port if it does not run, and waits until it answers. It forgets its payments when it
    /// stops.
    pub fn start_again(&self) -> Result<()> {
        self.server.ensure(
            || {
                Ok(Launch::new(data::built("payment-sandbox")?)
                    .args(["--listen", &format!("127.0.0.1:{}", self.port)])
                    .arg("--log")
                    .arg(self.server.home().path("requests.log")))
            },
            || probe::http_status(self.port, "/v1/payments") == Some(200),
        )
    }
}
