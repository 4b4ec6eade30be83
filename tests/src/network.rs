//! Two network namespaces with a router between them that can drop all packets, which makes connections half-open.
//!
//! Needs root and the programs `unshare`, `nsenter` (util-linux) and `ip` (iproute2). The machine's own network is unchanged.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Two network namespaces and the router between them. Removed on drop.
#[derive(Debug)]
pub struct Network {
    near: Namespace,
    router: Namespace,
    far: Namespace,
}

/// A network namespace, kept alive by a sleeping process.
#[derive(Debug)]
struct Namespace(Child);

/// Address of the far side.
const FAR: &str = "10.77.1.1";

impl Network {
    /// Creates two connected sides. The error is the reason why this machine does not allow it.
    pub fn new() -> Result<Self, String> {
        let network = Self { near: Namespace::new()?, router: Namespace::new()?, far: Namespace::new()? };
        let (router, forward) = (&network.router, "/proc/sys/net/ipv4/ip_forward");
        for (side, subnet, name) in [(&network.near, 0, "near"), (&network.far, 1, "far")] {
            side.run(&format!("ip link add side type veth peer name {name} netns {}", router.0.id()))?;
            side.run(&format!("ip address add 10.77.{subnet}.1/24 dev side && ip link set side up"))?;
            router.run(&format!("ip address add 10.77.{subnet}.2/24 dev {name} && ip link set {name} up"))?;
            side.run(&format!("ip route add default via 10.77.{subnet}.2"))?;
        }
        router.run(&format!("echo 1 > {forward}"))?;
        Ok(network)
    }

    /// Drops all packets between the two sides silently from now on.
    pub fn drop_packets(&self) {
        self.router.run("echo 0 > /proc/sys/net/ipv4/ip_forward").expect("it was possible before");
    }

    /// Lets packets pass again.
    pub fn pass_packets(&self) {
        self.router.run("echo 1 > /proc/sys/net/ipv4/ip_forward").expect("it was possible before");
    }

    /// Opens a listener on the far side.
    pub fn listen_far(&self) -> TcpListener {
        self.far.enter(|| TcpListener::bind((FAR, 0)).expect("a free port"))
    }

    /// Runs a function on its own thread on the near side. Sockets that it opens belong to that side.
    pub fn near<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        self.near.enter(act)
    }
}

impl Namespace {
    fn new() -> Result<Self, String> {
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo ready; exec sleep 600"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare: {error}"))?;
        let mut line = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
        if line != "ready\n" {
            let output = child.wait_with_output().map_err(|error| error.to_string())?;
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        Ok(Self(child))
    }

    fn run(&self, command: &str) -> Result<(), String> {
        let target = self.0.id().to_string();
        let output = Command::new("nsenter")
            .args(["--target", &target, "--net", "sh", "-c", command])
            .output()
            .map_err(|error| format!("nsenter: {error}"))?;
        let problem = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("{command}: {problem}")) }
    }

    fn enter<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.0.id())).expect("it lives");
        let inside = || {
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(LinkNameSpaceType::Network))
                .expect("the creator of a namespace may enter it");
            act()
        };
        thread::scope(|scope| scope.spawn(inside).join()).expect("the function did not panic")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Both fail only if it has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
