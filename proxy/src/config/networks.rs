//! Settings that say whom to believe about the address of a client.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Deserialize;

/// Networks, written as `10.0.0.0/8, 192.0.2.1`; a bare address is a network of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Networks(Vec<IpNet>);

/// The header in which the balancers say whom they got a request from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, which nearly all of them write.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl Networks {
    /// True when `address` is in one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl ForwardedHeader {
    /// The header's name.
    pub fn name(self) -> &'static str {
        match self {
            ForwardedHeader::XForwardedFor => "x-forwarded-for",
            ForwardedHeader::Forwarded => "forwarded",
        }
    }
}

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let written = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        written.map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<String> for Networks {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

fn network(written: &str) -> Result<IpNet, String> {
    let address = written.parse::<IpAddr>().map(IpNet::from);
    address
        .or_else(|_| written.parse())
        .map_err(|_| format!("'{written}' is no network such as 10.0.0.0/8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_one_by_one() {
        let networks: Networks = " 10.0.0.0/8,192.0.2.1, 2001:db8::/32 ,"
            .parse()
            .expect("three");
        let holds = |text: &str| networks.contain(text.parse().expect("an address"));
        assert!(holds("10.255.0.1") && holds("192.0.2.1") && holds("2001:db8::7"));
        assert!(!holds("11.0.0.1") && !holds("192.0.2.2") && !holds("::1"));
        assert_eq!("".parse(), Ok(Networks::default()));
        assert!("10.0.0.0/33".parse::<Networks>().is_err());
        assert!("10.0.0.0/8 192.0.2.1".parse::<Networks>().is_err());
    }
}
