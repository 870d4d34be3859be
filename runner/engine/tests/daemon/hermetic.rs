//! What can be reached from inside a stack: its own services, and nothing else. Each test also shows that the same probe
//! works where it is allowed.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};

use futures_util::future::join_all;
use libtest_mimic::Trial;
use testbed_engine::docker::NetworkMode;
use testbed_engine::stack::LiveStack;

use crate::play;
use crate::site::{PORT, Site, trial};

/// Beside the range from which stacks take theirs.
const OPEN_SUBNET: &str = "10.230.255.0/26";
const OPEN_GATEWAY: &str = "10.230.255.1";
const OPEN_PEER: &str = "10.230.255.20";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("services_reach_each_other_by_name", services_reach_each_other_by_name),
        trial("the_host_is_out_of_reach_by_gateway_and_by_its_own_address", the_host_is_out_of_reach),
        trial("another_network_is_out_of_reach", another_network_is_out_of_reach),
        trial("no_name_outside_is_resolved_and_that_is_said_at_once", no_name_outside_is_resolved),
        trial("a_stack_with_egress_has_a_way_out", a_stack_with_egress_has_a_way_out),
        trial("the_host_does_not_reach_in", the_host_does_not_reach_in),
    ]
}

/// Somebody on the host who echoes, on all its addresses. Lives as long as the test's process.
fn echo_on_host() -> u16 {
    let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = UdpSocket::bind(("0.0.0.0", port)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 4];
            if stream.read_exact(&mut buffer).is_ok() {
                let _ = stream.write_all(&buffer);
            }
        }
    });
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    });
    port
}

/// The address by which the host is known on its own network. Choosing a route sends nothing.
fn host_address() -> IpAddr {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    socket.connect((Ipv4Addr::new(203, 0, 113, 1), 9)).unwrap();
    socket.local_addr().unwrap().ip()
}

/// A place on an open network.
fn open_seat(network: &str) -> NetworkMode {
    NetworkMode::Join { network: network.to_owned(), address: None, aliases: [].into() }
}

async fn services_reach_each_other_by_name(site: &mut Site) {
    let mut echo = site.player("echo", &["echo"]);
    echo.aliases.insert("other-name".to_owned());
    let mut stack = site.plain_stack();
    stack.services.insert("echo".to_owned(), echo);
    let live = site.up(&stack).await.unwrap();
    for name in ["echo", "other-name"] {
        assert_eq!(site.ask_inside(&live, &["tcp", &format!("{name}:{PORT}")]).await, "reached", "{name}");
    }
    assert_eq!(site.ask_inside(&live, &["udp", &format!("echo:{PORT}")]).await, "reached");
    let address = live.addresses()["echo"];
    assert_eq!(site.ask_inside(&live, &["tcp", &format!("{address}:{PORT}")]).await, "reached");
    live.down().await.unwrap();
}

async fn the_host_is_out_of_reach(site: &mut Site) {
    let site = &*site;
    let port = echo_on_host();
    let open = site.open_network(OPEN_SUBNET).await;
    let live = site.up(&site.plain_stack()).await.unwrap();
    let first = u32::from(live.addresses()["web"]);
    let own_gateway = Ipv4Addr::from(first & !63 | 1);
    let addresses = [host_address().to_string(), OPEN_GATEWAY.to_owned(), own_gateway.to_string()];
    let probes = ["tcp", "udp"]
        .into_iter()
        .flat_map(|kind| addresses.iter().map(move |address| (kind, format!("{address}:{port}"))));
    let probes: Vec<(&str, String)> = probes.collect();
    let allowed =
        probes.iter().filter(|(_, target)| !target.starts_with(&addresses[2])).map(|(kind, target)| {
            let open = open.as_str();
            async move { site.ask(&[*kind, target.as_str()], |spec| spec.network = open_seat(open)).await }
        });
    assert_eq!(join_all(allowed).await, ["reached"; 4], "the probe works where it is allowed");
    let inside = probes.iter().map(|(kind, target)| {
        let live = &live;
        async move { site.ask_inside(live, &[*kind, target.as_str()]).await }
    });
    for (probe, outcome) in probes.iter().zip(join_all(inside).await) {
        assert!(outcome.starts_with("not reached"), "{probe:?}: {outcome}");
    }
    live.down().await.unwrap();
    site.daemon.remove_network(&open).await.unwrap();
}

async fn another_network_is_out_of_reach(site: &mut Site) {
    let open = site.open_network(OPEN_SUBNET).await;
    let peer = site
        .container(&["echo"], |spec| {
            spec.network = NetworkMode::Join {
                network: open.clone(),
                address: Some(OPEN_PEER.parse().unwrap()),
                aliases: [].into(),
            };
        })
        .await;
    let live = site.up(&site.plain_stack()).await.unwrap();
    for kind in ["tcp", "udp"] {
        let target = format!("{OPEN_PEER}:{PORT}");
        let role = [kind, target.as_str()];
        assert_eq!(
            site.ask(&role, |spec| spec.network = open_seat(&open)).await,
            "reached",
            "the probe works"
        );
        let inside = site.ask_inside(&live, &role).await;
        assert!(inside.starts_with("not reached"), "{kind}: {inside}");
    }
    live.down().await.unwrap();
    site.daemon.remove(&peer).await.unwrap();
    site.daemon.remove_network(&open).await.unwrap();
}

async fn no_name_outside_is_resolved(site: &mut Site) {
    let open = site.open_network(OPEN_SUBNET).await;
    let server = site
        .container(&["names"], |spec| {
            spec.network = NetworkMode::Join {
                network: open.clone(),
                address: Some(OPEN_PEER.parse().unwrap()),
                aliases: [].into(),
            };
            spec.sysctls.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
        })
        .await;
    let outside: IpAddr = OPEN_PEER.parse().unwrap();
    let allowed = site
        .ask(&["resolve"], |spec| {
            spec.network = open_seat(&open);
            spec.dns = vec![outside];
        })
        .await;
    assert_eq!(allowed, "resolved\nfast: true", "the probe works");
    let live = site.up(&site.plain_stack()).await.unwrap();
    assert_eq!(site.ask_inside(&live, &["resolve"]).await, "code 3\nfast: true", "there is no such name");
    let seat = live.seat().unwrap();
    let told_to = site
        .ask(&["resolve"], |spec| {
            spec.network = seat.network.clone();
            spec.dns = vec![outside];
        })
        .await;
    assert!(!told_to.contains("resolved"), "by a name server outside: {told_to}");
    live.down().await.unwrap();
    site.daemon.remove(&server).await.unwrap();
    site.daemon.remove_network(&open).await.unwrap();
}

async fn a_stack_with_egress_has_a_way_out(site: &mut Site) {
    let port = echo_on_host();
    let mut stack = site.plain_stack();
    stack.egress = true;
    let live = site.up(&stack).await.unwrap();
    let target = format!("{}:{port}", host_address());
    assert_eq!(site.ask_inside(&live, &["tcp", &target]).await, "reached");
    live.down().await.unwrap();
}

async fn the_host_does_not_reach_in(site: &mut Site) {
    let mut stack = site.plain_stack();
    stack.services.insert("echo".to_owned(), site.player("echo", &["echo"]));
    let echo = |live: &LiveStack| format!("{}:{PORT}", live.addresses()["echo"]);
    let live = site.up(&stack).await.unwrap();
    let outcome = play::tcp(&echo(&live));
    assert!(outcome.starts_with("not reached"), "{outcome}");
    live.down().await.unwrap();
    stack.egress = true;
    let live = site.up(&stack).await.unwrap();
    assert_eq!(play::tcp(&echo(&live)), "reached", "the probe works");
    live.down().await.unwrap();
}
