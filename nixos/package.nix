# Writ as a nix package: `pkgs.callPackage ./nixos/package.nix { }`.
{
  lib,
  rustPlatform,
  cmake,
  git,
  installShellFiles,
  openssh,
  stdenv,
}:

rustPlatform.buildRustPackage {
  pname = "writ";
  version = (lib.importTOML ../Cargo.toml).package.version;
  src = lib.cleanSource ../.;
  cargoLock.lockFile = ../Cargo.lock;

  nativeBuildInputs = [
    cmake
    installShellFiles
  ];
  nativeCheckInputs = [
    git
    openssh
  ];
  # The scenes on real hosts need root and nspawn; `./test` runs them.
  cargoTestFlags = [ "--lib" ];

  # The program is asked, so it has to be one that runs here.
  postInstall = lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    installShellCompletion --cmd writ \
      --bash <($out/bin/writ completions bash) \
      --zsh <($out/bin/writ completions zsh) \
      --fish <($out/bin/writ completions fish)
    mkdir man
    $out/bin/writ man man
    installManPage man/*.1
  '';

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
