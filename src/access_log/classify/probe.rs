//! Whether our own probe asks, not a user.

use super::{Asked, ProbeSettings};
use crate::access_log::{MarkKey, ProbeMark};

/// Compiled [`ProbeSettings`].
#[derive(Clone, Debug)]
pub(super) struct Probe {
    key: Option<MarkKey>,
    addresses: Vec<Box<[u8]>>,
    /// There is any way to recognise one.
    asks: bool,
}

impl Probe {
    pub(super) fn new(settings: ProbeSettings) -> Self {
        let addresses: Vec<Box<[u8]>> =
            settings.addresses.into_iter().map(|address| address.into_bytes().into()).collect();
        let asks = settings.key.is_some() || !addresses.is_empty();
        Self { key: settings.key, addresses, asks }
    }

    /// There is any way to recognise one.
    #[inline]
    pub(super) fn is_asked_for(&self) -> bool {
        self.asks
    }

    /// The user agent is a probe's, and there is proof. Nearly every request ends at its first bytes.
    #[inline]
    pub(super) fn is_recognised(&self, asked: &Asked<'_>) -> bool {
        self.asks && self.has_proof(asked)
    }

    fn has_proof(&self, asked: &Asked<'_>) -> bool {
        let Some(mark) = asked.user_agent.and_then(ProbeMark::parse) else { return false };
        self.key.as_ref().is_some_and(|key| mark.is_genuine(key, asked.time_ms))
            || asked.remote_addr.is_some_and(|addr| self.addresses.iter().any(|known| **known == *addr))
    }
}
