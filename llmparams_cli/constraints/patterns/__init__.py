"""Regular expressions of ECMA-262, and formats: as texts of Rust that llguidance follows."""
