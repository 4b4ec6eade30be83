//! The publisher's side of the backend link.
