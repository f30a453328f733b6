//! vocabulary: the override flags that every frontend takes.
