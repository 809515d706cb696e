//! Where a request comes from, when balancers stand in between.
//!
//! Each proxy on the way appends whom it got the request from, so the list is true from its right
//! end up to the first address that is none of ours; what stands left of that was written by the
//! client itself (RFC 7239, 8.1).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use hyper::header::HeaderMap;

use super::Call;
use crate::config::{ForwardedHeader, Networks};

/// Addresses of IPv6 that one client has as a rule: what follows these bits it chooses itself.
const IPV6_CLIENT_BITS: u32 = 64;

impl Call {
    /// The address of who asks: the peer's, or what the balancers in `http.trusted_proxies` say.
    pub fn client_address(&self) -> IpAddr {
        let http = &self.app.config.http;
        client_address(
            self.peer.ip(),
            &self.head.headers,
            http.forwarded_header,
            &http.trusted_proxies,
        )
    }
}

/// The nearest address to us that is none of `trusted`, `peer` being the nearest of all.
pub fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    header: ForwardedHeader,
    trusted: &Networks,
) -> IpAddr {
    let mut nearest = peer.to_canonical();
    if !trusted.contain(nearest) {
        return nearest;
    }
    let lines = headers.get_all(header.name()).iter().rev();
    // Neither an address nor what names one has a comma, so that none is part of a quoted string.
    let elements = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for element in elements {
        // What cannot be read was hidden by one of our own, which is then the last that we know.
        let Some(address) = read(element, header) else {
            break;
        };
        nearest = address;
        if !trusted.contain(nearest) {
            break;
        }
    }
    nearest
}

/// What counts as one client: an IPv4 address, or the /64 of an IPv6 address.
pub fn client_block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let mask = u128::MAX << (Ipv6Addr::BITS - IPV6_CLIENT_BITS);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

fn read(element: &[u8], header: ForwardedHeader) -> Option<IpAddr> {
    let element = std::str::from_utf8(element).ok()?.trim();
    let node = match header {
        ForwardedHeader::XForwardedFor => element,
        ForwardedHeader::Forwarded => node_of(element)?,
    };
    let address = node.parse::<SocketAddr>().map(|address| address.ip());
    let bare = node
        .strip_prefix('[')
        .and_then(|node| node.strip_suffix(']'));
    let address = address.or_else(|_| bare.unwrap_or(node).parse::<IpAddr>());
    address.ok().map(|address| address.to_canonical())
}

/// The `for` of a forwarded-element (RFC 7239, 4), without its quotes.
fn node_of(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::ForwardedHeader::{Forwarded, XForwardedFor};
    use super::*;

    fn trusted() -> Networks {
        "10.0.0.0/8, fd00::/8".parse().expect("networks")
    }

    fn from(peer: &str, header: ForwardedHeader, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line.as_bytes()).expect("a header");
            headers.append(header.name(), value);
        }
        let peer = peer.parse().expect("an address");
        client_address(peer, &headers, header, &trusted()).to_string()
    }

    #[test]
    fn a_balancer_says_who_it_is() {
        for (lines, expected) in [
            (vec!["192.0.2.1"], "192.0.2.1"),
            (vec!["192.0.2.1:4711"], "192.0.2.1"),
            (vec!["2001:db8::1"], "2001:db8::1"),
            (vec!["[2001:db8::1]:4711"], "2001:db8::1"),
            (vec!["::ffff:192.0.2.1"], "192.0.2.1"),
            (vec!["6.6.6.6, 192.0.2.1, 10.1.1.1"], "192.0.2.1"),
            (
                vec!["6.6.6.6", "192.0.2.1", "10.1.1.1,10.1.1.2"],
                "192.0.2.1",
            ),
            (vec!["10.9.9.9, 10.1.1.1"], "10.9.9.9"),
            (vec!["192.0.2.1, unknown, 10.1.1.1"], "10.1.1.1"),
            (vec![], "10.0.0.1"),
        ] {
            assert_eq!(
                from("10.0.0.1", XForwardedFor, &lines),
                expected,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn forwarded_is_read_too() {
        for (line, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            (
                "proto=https; For=\"[2001:db8:cafe::17]:4711\"",
                "2001:db8:cafe::17",
            ),
            ("for=6.6.6.6, for=192.0.2.1, for=10.1.1.1", "192.0.2.1"),
            ("for=\"6.6.6.6, for=192.0.2.1", "192.0.2.1"),
            ("for=192.0.2.1, for=_hidden", "10.0.0.1"),
        ] {
            assert_eq!(from("10.0.0.1", Forwarded, &[line]), expected, "{line}");
        }
    }

    #[test]
    fn only_the_header_that_the_balancer_writes_counts() {
        let mut headers = HeaderMap::new();
        headers.insert("forwarded", HeaderValue::from_static("for=6.6.6.6"));
        let peer = "10.0.0.1".parse().expect("an address");
        let address = client_address(peer, &headers, XForwardedFor, &trusted());
        assert_eq!(address.to_string(), "10.0.0.1");
    }

    #[test]
    fn a_client_of_ipv6_is_its_network() {
        let block = |text: &str| client_block(text.parse().expect("an address")).to_string();
        assert_eq!(block("192.0.2.1"), "192.0.2.1");
        assert_eq!(block("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(block("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    proptest! {
        #[test]
        fn who_is_not_trusted_cannot_speak_for_others(peer: u32, line in "[ -~]{0,60}") {
            let peer = IpAddr::from(peer.to_be_bytes());
            prop_assume!(!trusted().contain(peer));
            for header in [XForwardedFor, Forwarded] {
                prop_assert_eq!(from(&peer.to_string(), header, &[&line]), peer.to_string());
            }
        }

        #[test]
        fn what_a_client_writes_before_its_address_changes_nothing(
            client: u32, written in prop::collection::vec("[ -~]{0,40}", 0..3), same_line: bool,
        ) {
            let client = IpAddr::from(client.to_be_bytes());
            prop_assume!(!trusted().contain(client));
            for (header, told) in [
                (XForwardedFor, client.to_string()),
                (Forwarded, format!("for={client}")),
            ] {
                let mut lines = written.clone();
                match lines.last_mut().filter(|_| same_line) {
                    Some(last) => *last = format!("{last}, {told}"),
                    None => lines.push(told),
                }
                let lines: Vec<_> = lines.iter().map(String::as_str).collect();
                prop_assert_eq!(from("10.0.0.1", header, &lines), client.to_string());
            }
        }
    }
}
