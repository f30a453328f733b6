//! one start-up for all frontends.
