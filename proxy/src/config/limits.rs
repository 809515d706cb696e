//! How often somebody may ask.

use serde::Deserialize;

use super::Error;
use super::check::ensure;

/// Limits of rate. One that is hit costs nothing but the answer, 429 and Retry-After.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests of one session in a period; 0 for any number.
    pub session_requests: u32,
    /// The period, s.
    pub session_period_s: u32,
    /// Requests that may come at once beyond those.
    pub session_burst: u32,
    /// Requests of one user in a period at this proxy, over all sessions and access tokens; 0 for
    /// any number.
    pub user_requests: u32,
    /// The period, s.
    pub user_period_s: u32,
    /// Requests that may come at once beyond those.
    pub user_burst: u32,
    /// Requests of one client address (of IPv6: a /64) in a period at this proxy; 0 for any number.
    pub address_requests: u32,
    /// The period, s.
    pub address_period_s: u32,
    /// Requests that may come at once beyond those.
    pub address_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            session_requests: 100,
            session_period_s: 1,
            session_burst: 1_000,
            user_requests: 200,
            user_period_s: 1,
            user_burst: 2_000,
            // Behind a balancer that is not named in http.trusted_proxies all clients have one
            // address.
            address_requests: 0,
            address_period_s: 1,
            address_burst: 2_000,
        }
    }
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), Error> {
        for (setting, period_s) in [
            ("limits.session_period_s", self.session_period_s),
            ("limits.user_period_s", self.user_period_s),
            ("limits.address_period_s", self.address_period_s),
        ] {
            let holds = (1..=86_400).contains(&period_s);
            ensure(holds, setting, "must be from 1 to 86400, a day")?;
        }
        // Neither the module nor the limiters of this process count to much more than years.
        for (setting, burst, period_s, requests) in [
            (
                "limits.session_burst",
                self.session_burst,
                self.session_period_s,
                self.session_requests,
            ),
            (
                "limits.user_burst",
                self.user_burst,
                self.user_period_s,
                self.user_requests,
            ),
            (
                "limits.address_burst",
                self.address_burst,
                self.address_period_s,
                self.address_requests,
            ),
        ] {
            let burst_s = u64::from(burst) * u64::from(period_s);
            let refilled_s = burst_s / u64::from(requests.max(1));
            ensure(
                refilled_s <= 86_400,
                setting,
                "must be refilled within a day",
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_refilled_some_day() {
        assert!(Limits::default().check().is_ok());
        let limits = |session_requests, session_period_s| Limits {
            session_requests,
            session_period_s,
            ..Limits::default()
        };
        assert!(limits(0, 1).check().is_ok());
        assert!(limits(1, 86).check().is_ok());
        for (requests, period, named) in [
            (1, 0, "limits.session_period_s"),
            (1, 87, "limits.session_burst"),
        ] {
            let refused = limits(requests, period).check().expect_err("senseless");
            assert!(refused.to_string().starts_with(named), "{refused}");
        }
        let slow = Limits {
            user_requests: 1,
            user_period_s: 86_400,
            ..Limits::default()
        };
        let refused = slow.check().expect_err("years");
        assert!(refused.to_string().starts_with("limits.user_burst"));
    }
}
