//! What the windows promise, tested from outside them.

mod admission;
mod books;
mod calm;
mod clock;
mod codec;
mod fixture;
mod measurements;
mod model;
mod replay;
