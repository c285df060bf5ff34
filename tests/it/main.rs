//! Whole programs, spoken with over the wire.

mod echo;
mod raw;
