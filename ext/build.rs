//! Never unmap the library: PHP unloads modules at its end, when the link thread may still be in it.

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
