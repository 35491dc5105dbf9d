//! What a round costs where nothing has to be done, apart from asking the host: planning, for 100 and 1,000 services.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use writ::manifest::{Desired, Manifest, WorkingTree};
use writ::names::HostName;
use writ::plan::assume::assumed;
use writ::plan::plan;

fn files(services: usize) -> BTreeMap<String, Vec<u8>> {
    (0..services)
        .map(|n| {
            let text = format!(
                "hosts = [\"biz\"]\n[artifact]\nstorePath = \"/nix/store/1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf-web-{n}\"\n[exec]\ncommand = \"web\"\n[env]\nPORT = \"{port}\"\n[http]\ndomain = \"s{n}.example.org\"\ninternalPort = {port}\n",
                port = 8000 + n
            );
            (format!("manifests/services/s{n}.toml"), text.into_bytes())
        })
        .collect()
}

fn desired(services: usize) -> Desired<WorkingTree> {
    let host: HostName = "biz".parse().expect("a host name");
    Manifest::draft(&files(services)).expect("a valid manifest").desired(&host)
}

fn quiet(c: &mut Criterion) {
    for services in [100, 1000] {
        let files = files(services);
        c.bench_function(&format!("read the manifest of {services} services"), |b| {
            b.iter(|| Manifest::draft(black_box(&files)));
        });
        let desired = desired(services);
        let observed = assumed(&desired);
        assert!(plan(&desired, &observed).steps.is_empty(), "a quiet round has no steps");
        c.bench_function(&format!("plan a quiet round of {services} services"), |b| {
            b.iter(|| plan(black_box(&desired), black_box(&observed)));
        });
    }
}

criterion_group!(benches, quiet);
criterion_main!(benches);
