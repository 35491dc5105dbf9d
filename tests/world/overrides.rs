//! What systemd makes of several files for one unit, of units that stop with another, and of a visit to Caddy.

use writ::fault::Fault;
use writ::names::UnitName;
use writ::plan::observed::{OverrideKind, UnitState};
use writ::plan::routes::RouteCheck;
use writ::plan::step::Aside;
use writ::world::Visits;

use super::{Loaded, Machine, SimWorld};

impl Machine {
    /// The text that a unit is loaded from: another unit that is put over it, and
    /// every drop-in after it.
    fn effective(&self, unit: &UnitName, doing: &str) -> Result<String, Fault> {
        let own = self.files.get(unit).cloned();
        let over = self.overrides.get(unit).into_iter().flatten();
        let (whole, drop_ins): (Vec<_>, Vec<_>) =
            over.partition(|over| over.kind != OverrideKind::DropIn);
        let main = whole.first().map(|over| over.text.clone()).or(own);
        let main = main.ok_or_else(|| Fault::refuse(doing, format!("Unit {unit} not found")))?;
        if main.is_empty() {
            return Err(Fault::refuse(doing, format!("Unit {unit} is masked")));
        }
        Ok(drop_ins.into_iter().fold(main, |text, over| text + &over.text))
    }

    /// Starts a unit that does not run.
    pub(super) fn begin(&mut self, unit: &UnitName, doing: &str) -> Result<(), Fault> {
        let text = self.effective(unit, doing)?;
        if self.loaded.get(unit).is_some_and(|unit| unit.state == UnitState::Active) {
            return Ok(());
        }
        let environment = self.environment_of(unit, &text)?;
        // A daemon that crashes has been started; a command that fails has not.
        let crashes = Self::is_program_in(&self.crashing, &text);
        let command = text.contains("Type=oneshot") && crashes;
        let fails = text.contains("ExecStart=/bin/false") || command;
        let crashes = fails || crashes;
        let state = if crashes { UnitState::Failed } else { UnitState::Active };
        let (invocation, pid) = self.invocation();
        let felled = self.felling.iter().find(|(path, _)| text.contains(path.as_str()));
        if let Some(felled) = felled.and_then(|(_, unit)| self.loaded.get_mut(unit)) {
            felled.state = UnitState::Failed;
        }
        self.loaded.insert(unit.clone(), Loaded { text, state, invocation, pid, environment });
        self.journals.insert(unit.clone(), vec!["something happened".to_owned()]);
        if fails {
            let fault = Fault::refuse(doing, "exit-code, status 1");
            return Err(fault.evidence(["something happened".to_owned()]));
        }
        Ok(())
    }

    /// Stops a unit, and those that systemd stops with it.
    pub(super) fn end(&mut self, unit: &UnitName) {
        let known = self.loaded.remove(unit).is_some();
        let dependents = self.dependents.get(unit).filter(|_| known).cloned().unwrap_or_default();
        dependents.iter().for_each(|dependent| self.end(dependent));
    }

    pub(super) fn set_aside(&mut self, aside: &Aside) -> Result<(), Fault> {
        let Some(over) = self.overrides.get_mut(&aside.unit) else { return Ok(()) };
        let Some(at) = over.iter().position(|over| over.path == aside.path) else { return Ok(()) };
        if !over[at].movable {
            return Err(Fault::wait(format!("move {}", aside.path), "read-only file system"));
        }
        self.aside.push(over.remove(at));
        self.overrides.retain(|_, over| !over.is_empty());
        Ok(())
    }
}

impl Visits for SimWorld {
    async fn visit(&self, route: &RouteCheck) -> Result<(), String> {
        let machine = self.lock();
        let known = writ::plan::routes::listed(&machine.config)
            .iter()
            .any(|listed| listed.urls.contains(&route.url()));
        if machine.caddy_down {
            return Err("connection refused".to_owned());
        }
        // Caddy answers an empty page where no route matches.
        if !known {
            return Ok(());
        }
        let unit = machine.loaded.get(&route.service.unit());
        let runs = unit.is_some_and(|unit| unit.state == UnitState::Active);
        let files = is_of_files(&machine.config, route.service.as_str());
        if !(runs || files) || machine.unreachable.contains(route.domain.as_str()) {
            return Err("502 Bad Gateway".to_owned());
        }
        Ok(())
    }
}

/// Whether Caddy itself answers for a service, out of its closure.
fn is_of_files(config: &serde_json::Value, service: &str) -> bool {
    let servers = config.pointer("/apps/http/servers").and_then(|servers| servers.as_object());
    let routes = servers.into_iter().flat_map(|servers| servers.values());
    let mut routes = routes.filter_map(|server| server["routes"].as_array()).flatten();
    let ours = format!("writ-{service}-");
    routes.any(|route| {
        let id = route["@id"].as_str().unwrap_or_default();
        id.starts_with(&ours) && route.to_string().contains("\"file_server\"")
    })
}
