//! What the rules of trust read out of a file's text, held against what a manifest means.

use std::collections::BTreeSet;

use writ::manifest::service::{
    Check, Hardening, ProtectHome, ProtectSystem, Service, SystemdOptions, Work,
};
use writ::trust::privileges::Privilege;

/// Whether nothing that a service reaches beyond the closed default is missing in `asked`,
/// and all of it could be judged; says what is not so.
pub(crate) fn agrees(service: &Service, asked: &BTreeSet<Privilege>) -> Result<(), String> {
    let unknown = asked.iter().find(|privilege| matches!(privilege, Privilege::Unknown(_)));
    if let Some(unknown) = unknown {
        return Err(format!("{unknown}, in a manifest that hosts take"));
    }
    match reached(service).into_iter().find(|privilege| !asked.contains(privilege)) {
        Some(missing) => Err(format!("nobody judges that it {missing}")),
        None if is_loose(&service.hardening) && !asked.iter().any(is_hardening) => {
            Err("nobody judges that it is hardened less".to_owned())
        }
        None => Ok(()),
    }
}

fn is_hardening(privilege: &Privilege) -> bool {
    matches!(privilege, Privilege::Hardening(_))
}

fn reached(service: &Service) -> Vec<Privilege> {
    let mut reached = Vec::new();
    let name = service.name.as_str();
    if let Work::Daemon { exec, .. } | Work::Oneshot { exec } | Work::Job { exec, .. } =
        &service.work
    {
        reached.extend(exec.user.iter().map(|user| Privilege::User(user.to_string())));
        reached.extend(exec.group.iter().map(|group| Privilege::Group(group.to_string())));
        let foreign = exec.working_directory.iter().map(ToString::to_string).filter(|path| {
            let below = |owned: &str| path == owned || path.starts_with(&format!("{owned}/"));
            path != "/"
                && !below(service.artifact.store_path.as_str())
                && !below(&format!("/var/lib/{name}"))
        });
        reached.extend(foreign.map(Privilege::WorkingDirectory));
    }
    if let Some(path) = service.env_file.as_ref().map(ToString::to_string)
        && path != format!("/var/lib/secrets/{name}.env")
        && !path.starts_with(&format!("/var/lib/secrets/{name}/"))
    {
        reached.push(Privilege::EnvFile(path));
    }
    let Hardening { capabilities, read_write_paths, .. } = &service.hardening;
    reached.extend(capabilities.iter().map(|name| Privilege::Capability(name.to_string())));
    reached.extend(read_write_paths.iter().map(|path| Privilege::WritePath(path.to_string())));
    reached.extend(units_and_state(&service.systemd, name));
    for route in &service.http {
        let domains = [&route.domain].into_iter().chain(&route.staging_domain);
        let domains = domains.chain(&route.redirect_from);
        reached.extend(domains.map(|domain| Privilege::Domain(domain.to_string())));
        reached.extend(route.internal_port.map(Privilege::Port));
    }
    if let Check::Http { port, .. } | Check::Tcp { port, .. } = service.health.check {
        reached.push(Privilege::Port(port));
    }
    reached
}

fn units_and_state(options: &SystemdOptions, name: &str) -> Vec<Privilege> {
    let units = options.after.iter().chain(&options.requires).chain(&options.wants);
    let foreign = units.map(ToString::to_string).filter(|unit| {
        !unit.ends_with(".target") || ["a.target", "multi-user.target"].contains(&unit.as_str())
    });
    let state = options.state_directory.iter().map(ToString::to_string);
    let state = state.filter(|path| path != name && !path.starts_with(&format!("{name}/")));
    foreign
        .map(Privilege::Unit)
        .chain(state.map(|path| Privilege::StateDirectory(format!("/var/lib/{path}"))))
        .collect()
}

/// Field by field, so that a new one has to be thought of here.
fn is_loose(hardening: &Hardening) -> bool {
    let Hardening {
        dynamic_user: _,
        private_tmp,
        protect_system,
        protect_home,
        no_new_privileges,
        capabilities: _,
        read_write_paths: _,
        system_call_filter,
        private_network: _,
        private_devices,
        protect_kernel_tunables,
        protect_kernel_modules,
        protect_kernel_logs,
        protect_control_groups,
        protect_clock,
        protect_hostname,
        restrict_namespaces,
        restrict_realtime,
        restrict_suid_sgid,
        lock_personality,
        memory_deny_write_execute: _,
        restrict_address_families,
        umask: _,
    } = hardening;
    let usual = Hardening::default();
    let calls = &usual.system_call_filter;
    let tighter = system_call_filter.starts_with(calls)
        && system_call_filter[calls.len()..].iter().all(|item| item.as_str().starts_with('~'));
    let mut families = restrict_address_families.iter();
    let fewer = families.len() > 0
        && families.all(|family| usual.restrict_address_families.contains(family));
    !(*private_tmp
        && *protect_system == ProtectSystem::Strict
        && matches!(protect_home, ProtectHome::Yes | ProtectHome::Tmpfs)
        && *no_new_privileges
        && *private_devices
        && *protect_kernel_tunables
        && *protect_kernel_modules
        && *protect_kernel_logs
        && *protect_control_groups
        && *protect_clock
        && *protect_hostname
        && *restrict_namespaces
        && *restrict_realtime
        && *restrict_suid_sgid
        && *lock_personality
        && tighter
        && fewer)
}
