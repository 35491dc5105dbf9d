//! What real systemd makes of settings that were set by hand, once they are moved away.

use std::process::Command;
use std::slice::from_ref;

use writ::names::UnitName;
use writ::plan::step::Aside;
use writ::world::Units;

pub(crate) async fn set_properties_and_edits_by_hand_are_undone(units: &impl Units) {
    let unit: UnitName = "writ-set-property.service".parse().unwrap();
    let text = "[Service]\nExecStart=/bin/sleep infinity\n";
    units.write(&unit, None, text).await.unwrap();
    units.start(&unit, from_ref(&unit)).await.unwrap();
    systemctl(&["set-property", unit.as_str(), "TasksMax=77"]);
    systemctl(&["set-property", "--runtime", unit.as_str(), "CPUWeight=77"]);
    assert_eq!(show(&unit, "TasksMax"), "77");
    let over = units.overrides().unwrap().remove(&unit).unwrap();
    let paths: Vec<_> = over.iter().map(|over| over.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/etc/systemd/system.control/writ-set-property.service.d/50-TasksMax.conf",
            "/run/systemd/system.control/writ-set-property.service.d/50-CPUWeight.conf",
        ]
    );
    let aside = |path| Aside { unit: unit.clone(), path, stop: true };
    let files: Vec<_> = over.into_iter().map(|over| aside(over.path)).collect();
    units.stop(&unit).await.unwrap();
    units.set_aside(&files).await.unwrap();
    units.start(&unit, from_ref(&unit)).await.unwrap();
    assert_ne!(show(&unit, "TasksMax"), "77");
    assert_ne!(show(&unit, "CPUWeight"), "77");
    assert_eq!(
        (show(&unit, "NeedDaemonReload").as_str(), show(&unit, "DropInPaths")),
        ("no", String::new())
    );
    units.stop(&unit).await.unwrap();
    units.remove(&unit, text).await.unwrap();
}

fn show(unit: &UnitName, property: &str) -> String {
    let shown =
        Command::new("systemctl").args(["show", "--value", "-p", property, unit.as_str()]).output();
    String::from_utf8(shown.unwrap().stdout).unwrap().trim_end().to_owned()
}

fn systemctl(args: &[&str]) {
    assert!(Command::new("systemctl").args(args).status().unwrap().success(), "systemctl {args:?}");
}
