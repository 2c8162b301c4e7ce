package config

import (
	"log/slog"
	"time"

	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/quota"
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

// Names of keys that are mentioned in more than one place.
const (
	keyListen       = "server.listen"
	keyAccessListen = "server.access_listen"
	keyAccessPort   = "server.access_port"
	keyOrigins      = "server.allowed_origins"
	keyDockerHost   = "docker.host"
	keyCPUs         = "limits.cpus"
	keyMemory       = "limits.memory"
	keyShm          = "limits.shm"
	keyProcesses    = "limits.processes"
	keyVolume       = "limits.volume_size"
	keyContainer    = "limits.container_size"
	keyIdleTimeout  = "limits.idle_timeout"
	keyAlwaysClear  = "limits.always_clear_volume_on_stop"
	keyLogLevel     = "log.level"

	partDefault = ".default"
	partMax     = ".max"
	partChoices = ".choices"
)

const noBound = "no bound of its own"

// settings are all keys with one value, in the order of the example file.
func settings() []field[Config] {
	fields := []field[Config]{
		at("engine", engineName(), func(c *Config) *string { return &c.Engine }),
		at(keyListen, address(), func(c *Config) *string { return &c.Server.Listen }),
		at(keyAccessListen, address(), func(c *Config) *string { return &c.Server.AccessListen }),
		at(keyAccessPort, port(0, "a port from 1 to 65535, or 0 for the one in access_listen"), func(c *Config) *int { return &c.Server.AccessPort }),
		at("server.allowed_hosts", listOf(hostName()), func(c *Config) *[]string { return &c.Server.AllowedHosts }),
		at(keyOrigins, listOf(origin()), func(c *Config) *[]string { return &c.Server.AllowedOrigins }),
		at(keyDockerHost, dockerHost(), func(c *Config) *string { return &c.Docker.Host }),
		at("docker.reach", oneOf(ReachAuto, ReachAddress, ReachPort), func(c *Config) *string { return &c.Docker.Reach }),
		at("docker.subnet_pool", subnetPool(), func(c *Config) *string { return &c.Docker.SubnetPool }),
	}
	fields = append(fields, rangeOf(keyCPUs, cpus(), cpus(), cpus(), func(c *Config) *quota.Range[float64] { return &c.Limits.CPUs })...)
	memory := size(least{quota.MinMemoryMB, ""})
	fields = append(fields, rangeOf(keyMemory, memory, memory, memory, func(c *Config) *quota.Range[int64] { return &c.Limits.MemoryMB })...)
	fields = append(fields, rangeOf(keyShm, size(least{1, "half of the memory"}), size(least{1, noBound}), size(least{1, ""}),
		func(c *Config) *quota.Range[int64] { return &c.Limits.ShmMB })...)
	const fewProcesses = 16 // an IDE does not start with less
	fields = append(fields, rangeOf(keyProcesses, processes(least{fewProcesses, ""}), processes(least{fewProcesses, noBound}), processes(least{fewProcesses, ""}),
		func(c *Config) *quota.Range[int64] { return &c.Limits.Processes })...)
	storage, storageBound := size(least{1, ""}), size(least{1, noBound})
	fields = append(fields, rangeOf(keyVolume, storage, storageBound, storage, func(c *Config) *quota.Range[int64] { return &c.Limits.VolumeMB })...)
	fields = append(fields, rangeOf(keyContainer, storage, storageBound, storage, func(c *Config) *quota.Range[int64] { return &c.Limits.ContainerMB })...)
	fields = append(fields, rangeOf(keyIdleTimeout, idleTimeout("never"), idleTimeout(noBound), idleTimeout("never"),
		func(c *Config) *quota.Range[time.Duration] { return &c.Limits.IdleTimeout })...)
	return append(fields,
		at(keyAlwaysClear, flag(), func(c *Config) *bool { return &c.Limits.AlwaysClearVolumeOnStop }),
		at("images.trust_host_ca", flag(), func(c *Config) *bool { return &c.TrustHostCA }),
		at(keyLogLevel, logLevel(), func(c *Config) *slog.Level { return &c.LogLevel }),
	)
}

// rangeOf makes the three keys of a limit.
func rangeOf[T number](name string, normal, most, choice kind[T], in func(*Config) *quota.Range[T]) []field[Config] {
	return []field[Config]{
		at(name+partDefault, normal, func(c *Config) *T { return &in(c).Default }),
		at(name+partMax, most, func(c *Config) *T { return &in(c).Max }),
		at(name+partChoices, choicesOf(choice), func(c *Config) *[]T { return &in(c).Choices }),
	}
}

// imageFields are the keys of an [[image]].
func imageFields() []field[Image] {
	return []field[Image]{
		at("name", line(1), func(i *Image) *string { return &i.Name }),
		at("image", imageName(), func(i *Image) *string { return &i.Image }),
		at("profile", profileName(), func(i *Image) *string { return &i.Profile }),
		at("description", line(0), func(i *Image) *string { return &i.Description }),
	}
}

// profileFields are the keys of a [[profile]].
func profileFields() []field[profile.Profile] {
	return []field[profile.Profile]{
		at("name", profileName(), func(p *profile.Profile) *string { return &p.Name }),
		at("title", line(1), func(p *profile.Profile) *string { return &p.Title }),
		at("port", port(1, "a port from 1 to 65535"), func(p *profile.Profile) *int { return &p.Port }),
		at("mount_path", absolutePath(), func(p *profile.Profile) *string { return &p.MountPath }),
		at("health_path", urlPath(), func(p *profile.Profile) *string { return &p.HealthPath }),
		at("env", variables(), func(p *profile.Profile) *map[string]string { return &p.Env }),
		at("secret_env", listOf(variableName()), func(p *profile.Profile) *[]string { return &p.SecretEnv }),
		at("secret_header_name", optionalHeader(), func(p *profile.Profile) *string { return &p.SecretHeaderName }),
		at("secret_header_value", line(0), func(p *profile.Profile) *string { return &p.SecretHeaderValue }),
		at("capabilities", listOf(capability()), func(p *profile.Profile) *[]string { return &p.Capabilities }),
		at("answer_deadline", patience(), func(p *profile.Profile) *time.Duration { return &p.AnswerDeadline }),
		at("stop_grace", patience(), func(p *profile.Profile) *time.Duration { return &p.StopGrace }),
	}
}

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
