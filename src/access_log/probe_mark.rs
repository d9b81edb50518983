//! The mark by which requests of our own probe are known in a log: a user agent that says of which round and task the
//! request is, with a keyed hash over both, so that a stranger cannot have his requests taken out of the numbers.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::point::TimestampMs;

/// How the user agent of every probe begins.
const PREFIX: &[u8] = b"rgwlens-probe/";

/// Seconds since 1970 in hexadecimal, `-`, and 16 random hexadecimal digits.
const ROUND: usize = 8 + 1 + 16;

/// Longest name of a task, bytes.
const TASK: usize = 16;

/// Half of a SHA-256, in hexadecimal: more than can be guessed.
const HASH: usize = 32;

/// How far the time in a mark may be from that of its line: a user agent that somebody overheard is of no use later.
const MAX_AGE_MS: TimestampMs = 15 * 60 * 1000;

/// What probes and those who read the gateways' logs share. Not shown by `Debug`.
#[derive(Clone)]
pub struct MarkKey(Hmac<Sha256>);

impl MarkKey {
    /// From the shared secret, of any length.
    pub fn new(secret: &[u8]) -> Self {
        // HMAC takes keys of any length: the error cannot happen, and an empty key would still be one.
        Self(Hmac::new_from_slice(secret).unwrap_or_else(|_| Hmac::new(&Default::default())))
    }

    fn over(&self, marked: &[u8]) -> Hmac<Sha256> {
        let mut hash = self.0.clone();
        hash.update(marked);
        hash
    }
}

impl std::fmt::Debug for MarkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Of which round and task a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeMark<'a> {
    /// The round's id: when it began, and a random number.
    pub round: &'a str,
    /// The task, as `put`.
    pub task: &'a str,
    /// The keyed hash, or `-`.
    hash: &'a str,
    /// Everything before the hash.
    marked: &'a [u8],
}

impl<'a> ProbeMark<'a> {
    /// The id of a round that begins at this time (s since 1970).
    pub fn round(seconds: u64, random: u64) -> String {
        format!("{:08x}-{random:016x}", seconds & 0xffff_ffff)
    }

    /// The user agent of a request. Without a key it can only be told by where it comes from.
    pub fn user_agent(round: &str, task: &str, key: Option<&MarkKey>) -> String {
        let mut agent = format!("rgwlens-probe/{round} {task}");
        let Some(key) = key else { return agent + " -" };
        let hash = key.over(agent.as_bytes()).finalize().into_bytes();
        agent.push(' ');
        for byte in &hash[..HASH / 2] {
            agent.push_str(&format!("{byte:02x}"));
        }
        agent
    }

    /// Whether a user agent begins as a probe's does.
    #[inline]
    pub fn is_likely(agent: &[u8]) -> bool {
        agent.starts_with(PREFIX)
    }

    /// Takes a user agent apart; `None` if it is not a probe's. Says nothing about whether it is genuine.
    #[inline]
    pub fn parse(agent: &'a [u8]) -> Option<Self> {
        if Self::is_likely(agent) { Self::parse_rest(agent) } else { None }
    }

    #[cold]
    fn parse_rest(agent: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(agent).ok()?;
        let mut words = text[PREFIX.len()..].split(' ');
        let (round, task, hash) = (words.next()?, words.next()?, words.next()?);
        let is_task = (1..=TASK).contains(&task.len())
            && task.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let is_round = round.len() == ROUND
            && round.bytes().enumerate().all(|(i, b)| if i == 8 { b == b'-' } else { b.is_ascii_hexdigit() });
        let is_hash = hash == "-" || hash.len() == HASH && hash.bytes().all(|b| b.is_ascii_hexdigit());
        let marked = &agent[..text.len() - hash.len()].trim_ascii_end();
        (is_task && is_round && is_hash && words.next().is_none()).then_some(Self {
            round,
            task,
            hash,
            marked,
        })
    }

    /// When the round began, s since 1970.
    pub fn seconds(&self) -> i64 {
        i64::from_str_radix(&self.round[..8], 16).unwrap_or(0)
    }

    /// Whether it was made with this key, for a request of about this time.
    pub fn is_genuine(&self, key: &MarkKey, time_ms: TimestampMs) -> bool {
        let age_ms = time_ms.saturating_sub(self.seconds() * 1000);
        if age_ms.saturating_abs() > MAX_AGE_MS || self.hash.len() != HASH {
            return false;
        }
        let mut hash = [0; HASH / 2];
        for (byte, digits) in hash.iter_mut().zip(self.hash.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).unwrap_or_default();
            *byte = u8::from_str_radix(digits, 16).unwrap_or(0);
        }
        key.over(self.marked).verify_truncated_left(&hash).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_300_000;

    #[test]
    fn what_is_made_is_read_and_genuine_for_a_while() {
        let key = MarkKey::new(b"secret");
        let round = ProbeMark::round(NOW, 7);
        let agent = ProbeMark::user_agent(&round, "list_objects", Some(&key));
        let mark = ProbeMark::parse(agent.as_bytes()).unwrap();
        assert_eq!((mark.round, mark.task, mark.seconds()), (&*round, "list_objects", NOW as i64));
        let now = NOW as i64 * 1000;
        for (at, genuine) in [(0, true), (MAX_AGE_MS, true), (-MAX_AGE_MS, true), (MAX_AGE_MS + 1, false)] {
            assert_eq!(mark.is_genuine(&key, now + at), genuine, "{at}");
        }
        assert!(!mark.is_genuine(&MarkKey::new(b"other"), now));
        assert!(!mark.is_genuine(&key, i64::MIN) && !mark.is_genuine(&key, i64::MAX));
    }

    #[test]
    fn nothing_of_it_can_be_changed() {
        let key = MarkKey::new(b"secret");
        let agent = ProbeMark::user_agent(&ProbeMark::round(NOW, 7), "put", Some(&key));
        let genuine = |agent: &[u8]| {
            ProbeMark::parse(agent).is_some_and(|mark| mark.is_genuine(&key, NOW as i64 * 1000))
        };
        assert!(genuine(agent.as_bytes()));
        for at in 0..agent.len() {
            for other in [b'0', b'1', b'a', b'-', b' ', 0xff] {
                let mut changed = agent.clone().into_bytes();
                if changed[at] != other {
                    changed[at] = other;
                    assert!(!genuine(&changed), "{}", String::from_utf8_lossy(&changed));
                }
            }
            assert!(!genuine(&agent.as_bytes()[..at]));
        }
        assert!(!genuine(format!("{agent} ").as_bytes()) && !genuine(format!("{agent}0").as_bytes()));
    }

    #[test]
    fn without_a_key_it_is_a_mark_that_proves_nothing() {
        let agent = ProbeMark::user_agent(&ProbeMark::round(NOW, 7), "put", None);
        let mark = ProbeMark::parse(agent.as_bytes()).unwrap();
        assert_eq!(mark.task, "put");
        assert!(!mark.is_genuine(&MarkKey::new(b""), NOW as i64 * 1000));
    }

    #[test]
    fn other_agents_are_none() {
        for agent in ["", "-", "curl/8", "rgwlens-probe/", "rgwlens-probe/x put -", "rgwlens-probe/é é é"]
        {
            assert_eq!(ProbeMark::parse(agent.as_bytes()), None, "{agent}");
        }
    }
}
