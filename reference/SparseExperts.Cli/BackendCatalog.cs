using SparseExperts.Cpu;
using SparseExperts.Models;
using SparseExperts.Scalar;

namespace SparseExperts.Cli;

/// <summary>A backend that a user can name: its provider, or, of a plugin that cannot be used, one line that says why not.</summary>
sealed record NamedBackend(string Name, IBackendProvider? Provider, string Trouble)
{
    public string Version => Provider?.GetType().Assembly.GetName().Version?.ToString(3) ?? "";

    /// <summary>Can it work here? A plugin's code is not trusted to keep its promise never to throw.</summary>
    public BackendProbe Probe()
    {
        if (Provider is null) return BackendProbe.Missing(Trouble);
        try
        {
            return Provider.Probe();
        }
        catch (Exception e)
        {
            return BackendProbe.Missing($"its probe failed: {e.Message.TrimEnd('.')}; the plugin or what it needs is damaged: install it again");
        }
    }
}

/// <summary>The backends that the command can name: those compiled in, and the plugins in folders. A plugin is loaded when it is asked for.</summary>
static class BackendCatalog
{
    static readonly IReadOnlyList<IBackendProvider> BuiltIn =
    [
        new CpuProvider(),
        new ScalarProvider<Float32>("scalar", "the definition in plain loops: the same bits, hundreds of times slower"),
        new ScalarProvider<Float64>("scalar-double", "the definition in double precision: the arbiter"),
    ];

    /// <summary>Names only, read from folder names: nothing is loaded.</summary>
    public static IEnumerable<string> Names(string? plugins = null) =>
        [.. BuiltIn.Select(p => p.Name), .. PluginFolders(plugins).Select(f => Path.GetFileName(f))];

    /// <summary>All backends; every plugin is loaded.</summary>
    public static IEnumerable<NamedBackend> All(string? plugins = null) =>
        [.. BuiltIn.Select(p => new NamedBackend(p.Name, p, "")), .. PluginFolders(plugins).Select(BackendPlugin.Load), .. PassedOver(plugins)];

    /// <summary>A backend by name; a <see cref="DeviceFaultException"/> where it is known but cannot work here.</summary>
    /// <exception cref="ConfigurationException">Its name is unknown, or it has no products of that precision.</exception>
    public static IBackend Create(string name, int threads, string? plugins = null, Precision precision = Precision.Exact)
    {
        if (threads is < 0 or > 1024) throw new ConfigurationException($"--threads {threads}: between 1 and 1024, or 0 for one a processor");
        var named = Find(name, plugins);
        if (named.Provider is { } provider && !provider.Precisions.Contains(precision))
        {
            var known = string.Join(", ", provider.Precisions.Select(p => p.Text()));
            throw new ConfigurationException($"--precision {precision.Text()}: backend {name} has {known}; choose among these or another backend");
        }
        if (named.Probe() is { IsAvailable: false } probe) throw new DeviceFaultException($"backend {name}: {probe.Why}");
        return named.Provider!.Create(new(threads) { Precision = precision });
    }

    static NamedBackend Find(string name, string? plugins)
    {
        var folders = PluginFolders(plugins);
        if (BuiltIn.FirstOrDefault(p => p.Name == name) is { } provider)
        {
            foreach (var other in PassedOver(plugins).Where(other => other.Name == name)) Console.Error.WriteLine($"warning: {other.Trouble}");
            return new(name, provider, "");
        }
        return folders.FirstOrDefault(f => Path.GetFileName(f) == name) is { } folder
            ? BackendPlugin.Load(folder)
            : throw new ConfigurationException($"--backend {name}: unknown; choose one of {string.Join(", ", Names(plugins))}");
    }

    /// <summary>
    /// A folder a plugin, named as its backend: those of the folder that the user names, then those beside the program. The first of a name counts.
    /// </summary>
    static IEnumerable<string> PluginFolders(string? plugins) => Folders(plugins).Where(folder => !IsBuiltIn(folder));

    /// <summary>Folders with the name of a backend that is compiled in, which is used in their place.</summary>
    static IEnumerable<NamedBackend> PassedOver(string? plugins) => Folders(plugins).Where(IsBuiltIn).Select(folder =>
        new NamedBackend(Path.GetFileName(folder), null, $"{folder}: the backend of that name is built in and is used; give the plugin another name"));

    static bool IsBuiltIn(string folder) => BuiltIn.Any(p => p.Name == Path.GetFileName(folder));

    static IEnumerable<string> Folders(string? plugins)
    {
        if (plugins is not null && !Directory.Exists(plugins)) throw new ConfigurationException($"--plugins {plugins}: no such folder");
        var beside = Path.Combine(AppContext.BaseDirectory, "plugins");
        return from root in (string?[])[plugins, beside]
               where Directory.Exists(root)
               from folder in Directory.GetDirectories(root).Order(StringComparer.Ordinal)
               group folder by Path.GetFileName(folder) into same
               select same.First();
    }
}
