//! Orosync server.
