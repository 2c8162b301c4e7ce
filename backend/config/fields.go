package config

import (
	"fmt"
	"log/slog"
	"time"

	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// field is one key of a table that is kept in an S.
type field[S any] struct {
	name    string // "limits.cpus.max"
	allowed string
	set     func(into *S, value any) error   // from the file
	parse   func(into *S, text string) error // from the environment
	show    func(of *S) string               // as TOML
}

func at[S, T any](name string, kind kind[T], in func(*S) *T) field[S] {
	return field[S]{
		name:    name,
		allowed: kind.allowed,
		set: func(into *S, value any) error {
			decoded, err := kind.decode(value)
			if err == nil {
				*in(into) = decoded
			}
			return err
		},
		parse: func(into *S, text string) error {
			parsed, err := kind.fromText(text)
			if err == nil {
				*in(into) = parsed
			}
			return err
		},
		show: func(of *S) string { return kind.show(*in(of)) },
	}
}

// atPart is at for a value that need not be there.
func atPart[S, T any](name string, kind kind[T], in func(*S) **T) field[S] {
	return field[S]{
		name:    name,
		allowed: kind.allowed,
		set: func(into *S, value any) error {
			decoded, err := kind.decode(value)
			if err == nil {
				*in(into) = &decoded
			}
			return err
		},
		show: func(of *S) string {
			if part := *in(of); part != nil {
				return kind.show(*part)
			}
			return ""
		},
	}
}

// atTable is at for a table. Writing an empty one where there is nothing changes nothing.
func atTable[S any](name string, kind kind[map[string]string], in func(*S) *map[string]string) field[S] {
	f := at(name, kind, in)
	f.set = func(into *S, value any) error {
		decoded, err := kind.decode(value)
		if err == nil && len(decoded)+len(*in(into)) > 0 {
			*in(into) = decoded
		}
		return err
	}
	return f
}

// hiddenWhenEmpty does not show a list without entries.
func hiddenWhenEmpty[S any](f field[S]) field[S] {
	show := f.show
	f.show = func(of *S) string {
		if text := show(of); text != "[]" {
			return text
		}
		return ""
	}
	return f
}

// Names of keys that are mentioned in more than one place.
const (
	keyEngine       = "engine"
	keySubnetPool   = "docker.subnet_pool"
	keyLabEndpoint  = "mllab.endpoint"
	keyLabBase      = "mllab.base_url"
	keyListen       = "server.listen"
	keyAccessListen = "server.access_listen"
	keyAccessPort   = "server.access_port"
	keyOrigins      = "server.allowed_origins"
	keyDockerHost   = "docker.host"
	keyCPUs         = "limits.cpus"
	keyMemory       = "limits.memory"
	keyShm          = "limits.shm"
	keyProcesses    = "limits.processes"
	keyGPUs         = "limits.gpus"
	keyVolume       = "limits.volume_size"
	keyContainer    = "limits.container_size"
	keyIdleTimeout  = "limits.idle_timeout"
	keyAlwaysClear  = "limits.always_clear_volume_on_stop"
	keyDiscover     = "gpus.discover"
	keyDevices      = "gpus.devices"
	keyLogLevel     = "log.level"
	keyTrustCA      = "images.trust_host_ca"
	keyUseProxy     = "images.use_host_proxy"

	partDefault = ".default"
	partMax     = ".max"
	partChoices = ".choices"
)

// settings are all keys with one value, in the order of the example file.
func settings() []field[Config] {
	fields := []field[Config]{
		at(keyEngine, engineName(), func(c *Config) *string { return &c.Engine }),
		at(keyListen, address(), func(c *Config) *string { return &c.Server.Listen }),
		at(keyAccessListen, address(), func(c *Config) *string { return &c.Server.AccessListen }),
		at(keyAccessPort, port(0, "a port from 1 to 65535, or 0 for the one in access_listen"), func(c *Config) *int { return &c.Server.AccessPort }),
		at("server.allowed_hosts", listOf(hostName()), func(c *Config) *[]string { return &c.Server.AllowedHosts }),
		at(keyOrigins, listOf(origin()), func(c *Config) *[]string { return &c.Server.AllowedOrigins }),
		at(keyDockerHost, dockerHost(), func(c *Config) *string { return &c.Docker.Host }),
		at("docker.reach", oneOf(ReachAuto, ReachAddress, ReachPort), func(c *Config) *string { return &c.Docker.Reach }),
		at(keySubnetPool, subnetPool(), func(c *Config) *string { return &c.Docker.SubnetPool }),
	}
	fields = append(fields,
		at(keyLabEndpoint, labEndpoint(), func(c *Config) *string { return &c.MLLab.Endpoint }),
		at(keyLabBase, labBase(), func(c *Config) *string { return &c.MLLab.BaseURL }),
	)
	for _, l := range limits() {
		fields = append(fields, l.settings()...)
	}
	fields = append(fields,
		at(keyAlwaysClear, flag(), func(c *Config) *bool { return &c.Policy.Limits.AlwaysClearVolumeOnStop }),
		at("limits.full_grace", duration(`a time from "1s" to "168h"`, time.Second, maxFullGrace), func(c *Config) *time.Duration { return &c.FullGrace }),
	)
	for _, s := range sums() {
		fields = append(fields, s.ofUser())
	}
	return append(fields,
		at("quota.host.reserve_cpus", cpuSum("nothing"), func(c *Config) *float64 { return &c.Policy.Host.ReserveCPUs }),
		at("quota.host.reserve_memory", size(least{1, "nothing"}), func(c *Config) *int64 { return &c.Policy.Host.ReserveMemoryMB }),
		at("quota.host.cpu_overcommit", overcommit(), func(c *Config) *float64 { return &c.Policy.Host.CPUOvercommit }),
		at("quota.host.memory_overcommit", overcommit(), func(c *Config) *float64 { return &c.Policy.Host.MemoryOvercommit }),
		at("quota.host.on_exceed", onExceed(), func(c *Config) *quota.OnExceed { return &c.Policy.Host.OnExceed }),
		at(keyDiscover, flag(), func(c *Config) *bool { return &c.GPUs.Discover }),
		at(keyDevices, distinct(listOf(device())), func(c *Config) *[]string { return &c.GPUs.Devices }),
		at("gpus.shares", whole[int](fmt.Sprintf("a number of workspaces from 1 to %d", maxShares), from(1, maxShares)), func(c *Config) *int { return &c.Policy.GPUShares }),
		at(keyTrustCA, flag(), func(c *Config) *bool { return &c.ImagePolicy.TrustHostCA }),
		at(keyUseProxy, flag(), func(c *Config) *bool { return &c.ImagePolicy.UseHostProxy }),
		at("images.allowed", notEmpty(distinct(listOf(imagePattern()))), func(c *Config) *[]string { return &c.ImagePolicy.Allowed }),
		at("images.pull", pullPolicy(), func(c *Config) *workspace.PullPolicy { return &c.ImagePolicy.Pull }),
		at("images.check_updates", checkInterval(), func(c *Config) *time.Duration { return &c.ImagePolicy.CheckUpdates }),
		at(keyLogLevel, logLevel(), func(c *Config) *slog.Level { return &c.LogLevel }),
	)
}

const (
	maxFullGrace = 7 * 24 * time.Hour
	maxShares    = 64
)

// imageFields are the keys of an [[image]].
func imageFields() []field[Image] {
	return []field[Image]{
		at("name", line(1), func(i *Image) *string { return &i.Name }),
		at("image", imageName(), func(i *Image) *string { return &i.Image }),
		at("profile", profileName(), func(i *Image) *string { return &i.Profile }),
		at("description", line(0), func(i *Image) *string { return &i.Description }),
		at("pull", optionalPullPolicy(), func(i *Image) *workspace.PullPolicy { return &i.Pull }),
	}
}

// profileFields are the keys of a [[profile]].
func profileFields() []field[profile.Profile] {
	return []field[profile.Profile]{
		at("name", profileName(), func(p *profile.Profile) *string { return &p.Name }),
		at("title", line(1), func(p *profile.Profile) *string { return &p.Title }),
		at("port", port(1, "a port from 1 to 65535"), func(p *profile.Profile) *int { return &p.Port }),
		at("mount_path", absolutePath(), func(p *profile.Profile) *string { return &p.MountPath }),
		at("keeps_path", flag(), func(p *profile.Profile) *bool { return &p.KeepsPath }),
		at("health_path", urlPath(), func(p *profile.Profile) *string { return &p.HealthPath }),
		at("any_answer", flag(), func(p *profile.Profile) *bool { return &p.AnyAnswer }),
		at("args", listOf(argument()), func(p *profile.Profile) *[]string { return &p.Args }),
		atTable("env", variables(), func(p *profile.Profile) *map[string]string { return &p.Env }),
		at("secret_env", listOf(variableName()), func(p *profile.Profile) *[]string { return &p.SecretEnv }),
		at("open_args", listOf(argument()), func(p *profile.Profile) *[]string { return &p.OpenArgs }),
		atTable("open_env", variables(), func(p *profile.Profile) *map[string]string { return &p.OpenEnv }),
		at("secret_header_name", optionalHeader(), func(p *profile.Profile) *string { return &p.SecretHeaderName }),
		at("secret_header_value", line(0), func(p *profile.Profile) *string { return &p.SecretHeaderValue }),
		atTable("headers", headers(), func(p *profile.Profile) *map[string]string { return &p.Headers }),
		at("note", line(0), func(p *profile.Profile) *string { return &p.Note }),
		at("activity_probe", oneOf("", profile.ProbeJupyter), func(p *profile.Profile) *string { return &p.Activity.Probe }),
		at("activity_polls", distinct(listOf(pollPath())), func(p *profile.Profile) *[]string { return &p.Activity.Polls }),
		at("activity_typed", listOf(line(1)), func(p *profile.Profile) *[]string { return &p.Activity.Typed }),
		at("activity_quiet_frame", whole[int](fmt.Sprintf("a number of bytes from 0 to %d", maxQuietFrame), from(0, maxQuietFrame)), func(p *profile.Profile) *int { return &p.Activity.QuietFrame }),
		at("capabilities", listOf(capability()), func(p *profile.Profile) *[]string { return &p.Capabilities }),
		at("answer_deadline", patience(), func(p *profile.Profile) *time.Duration { return &p.AnswerDeadline }),
		at("stop_grace", patience(), func(p *profile.Profile) *time.Duration { return &p.StopGrace }),
	}
}

const maxQuietFrame = 1 << 16

func find[S any](fields []field[S], name string) (field[S], bool) {
	for _, f := range fields {
		if f.name == name {
			return f, true
		}
	}
	return field[S]{}, false
}

func names[S any](fields []field[S]) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}
