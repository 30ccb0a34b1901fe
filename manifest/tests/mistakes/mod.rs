//! Puts one mistake, or what may be one, into an edit.

use fastrand::Rng;
use manifest::{Edit, Generation, LogLength, State, ValueUse};
