//! Tests of the two sources as a whole, named by the fault they are about.

mod model;
mod replay;
mod rotation;
mod world;
