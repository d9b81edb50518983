//! What the windows promise, tested from outside them.

mod admission;
mod books;
mod clock;
mod fixture;
mod model;
mod replay;
