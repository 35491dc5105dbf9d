# The agent on NixOS: `services.writ.enable = true` and the host's pins in `settings`.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.writ;
  toml = pkgs.formats.toml { };
  socket = "/run/caddy/admin.sock";
  onSocket = (cfg.settings.caddy.admin or "unix://${socket}") == "unix://${socket}";
in
{
  options.services.writ = {
    enable = lib.mkEnableOption "the Writ agent, which follows a signed git branch";

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The package with `bin/writ`.";
    };

    settings = lib.mkOption {
      inherit (toml) type;
      description = ''
        The host's config, `/etc/writ/agent.toml`. What is pinned here never comes
        from git: the repository's id, its introduction and that commit's signer,
        and the binary caches with their keys.
      '';
      example = {
        host = "biz";
        repository = {
          id = "acme-infra";
          url = "https://git.example.org/acme/deploy.git";
          branch = "main";
          introduction = "0123456789012345678901234567890123456789";
          introducer = "SHA256:0123456789012345678901234567890123456789012";
        };
        nix = {
          substituters = [ "https://cache.example.org" ];
          trustedPublicKeys = [ "cache.example.org-1:…" ];
        };
      };
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    environment.etc."writ/agent.toml".source = toml.generate "agent.toml" cfg.settings;

    # Caddy is told its routes over a socket that only root and Caddy reach: on TCP, its
    # default, every process of the host could change them.
    services.caddy.globalConfig = lib.mkIf onSocket "admin unix/${socket}";
    systemd.services.caddy = lib.mkIf (config.services.caddy.enable && onSocket) {
      serviceConfig = {
        RuntimeDirectory = "caddy";
        RuntimeDirectoryMode = "0700";
      };
    };

    # Members may ask for the status.
    users.groups.writ = { };

    # Units live in /run; the ledger puts them back before the network is there.
    systemd.services.writ-boot = {
      description = "Writ: the last good generation's services, before the network";
      wantedBy = [ "multi-user.target" ];
      before = [
        "multi-user.target"
        "writ-agent.service"
      ];
      after = [ "local-fs.target" ];
      unitConfig.RequiresMountsFor = "/var/lib/writ /nix/store";
      path = [ config.systemd.package ];
      restartIfChanged = false;
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "${lib.getExe cfg.package} boot --config /etc/writ/agent.toml";
      };
    };

    systemd.services.writ-agent = {
      description = "Writ agent: follows a signed branch and converges this host";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [
        "network-online.target"
        "nix-daemon.service"
        "caddy.service"
      ];
      startLimitIntervalSec = 0;
      path = [
        config.nix.package
        config.systemd.package
        pkgs.git
        pkgs.openssh
      ];
      serviceConfig = {
        Type = "notify";
        ExecStart = "${lib.getExe cfg.package} agent --config /etc/writ/agent.toml";
        Restart = "always";
        RestartSec = 2;
        KillMode = "mixed";
        TimeoutStopSec = 20;
        StateDirectory = "writ";
        StateDirectoryMode = "0750";
        RuntimeDirectory = "writ";
        OOMScoreAdjust = -500;
        NoNewPrivileges = true;
        ProtectHome = "read-only";
        ProtectClock = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectHostname = true;
        RestrictRealtime = true;
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
      };
    };
  };
}
