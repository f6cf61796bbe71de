//! Laws of data and compute: fit them with their uncertainty, and decide with them
