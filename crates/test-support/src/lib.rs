//! dev only: hand-written peers that share no code with what they test.
