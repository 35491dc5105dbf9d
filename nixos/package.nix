# Writ as a nix package: `pkgs.callPackage ./nixos/package.nix { }`.
{
  lib,
  rustPlatform,
  cmake,
  git,
  openssh,
}:

rustPlatform.buildRustPackage {
  pname = "writ";
  version = (lib.importTOML ../Cargo.toml).package.version;
  src = lib.cleanSource ../.;
  cargoLock.lockFile = ../Cargo.lock;

  nativeBuildInputs = [ cmake ];
  nativeCheckInputs = [
    git
    openssh
  ];
  # The scenes on real hosts need root and nspawn; `./test` runs them.
  cargoTestFlags = [ "--lib" ];

  meta = {
    description = "Deploys Nix-built services to hosts from a signed git branch";
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = "writ";
    platforms = lib.platforms.linux;
  };
}
