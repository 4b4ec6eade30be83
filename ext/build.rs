//! Link with `nodelete`: PHP unloads modules when it ends, while the link thread may still run this library's code.

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
