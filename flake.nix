{
  description = "Writ deploys Nix-built services to hosts from a signed git branch";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      each = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
    in
    {
      packages = each (pkgs: {
        default = pkgs.callPackage ./nixos/package.nix { };
      });
      nixosModules.default =
        { pkgs, lib, ... }:
        {
          imports = [ ./nixos/module.nix ];
          services.writ.package = lib.mkDefault self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        };
    };
}
