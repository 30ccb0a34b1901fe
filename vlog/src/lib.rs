//! Value log: large values apart from their keys, addressed by pointer
