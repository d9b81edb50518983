//! What a request may begin with.

/// The methods that some API of the gateway has. Any other, lower case included, nginx or the gateway refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Method {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// `PUT`.
    Put,
    /// `POST`.
    Post,
    /// `DELETE`.
    Delete,
    /// `OPTIONS`.
    Options,
    /// `COPY`, of Swift.
    Copy,
}

impl Method {
    /// All of them, in their order.
    pub(super) const ALL: [Self; 7] =
        [Self::Get, Self::Head, Self::Put, Self::Post, Self::Delete, Self::Options, Self::Copy];

    /// The method of this name.
    pub fn parse(method: &[u8]) -> Option<Self> {
        Some(match method {
            b"GET" => Self::Get,
            b"PUT" => Self::Put,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"COPY" => Self::Copy,
            _ => return None,
        })
    }
}
