using System.Reflection;
using System.Runtime.Loader;

namespace SparseExperts.Cli;

/// <summary>
/// A backend in a folder of its own: an assembly with its <c>.deps.json</c> and what it needs. It gets a load context, so that its dependencies are its
/// own; only the contract's assembly is the program's.
/// </summary>
static class BackendPlugin
{
    static readonly Assembly Contract = typeof(IBackendProvider).Assembly;

    /// <summary>The provider that the folder is named after, or the reason why there is none. Never throws.</summary>
    public static NamedBackend Load(string folder)
    {
        var name = Path.GetFileName(folder);
        try
        {
            var found = Providers(folder).ToList();
            if (found.Count == 0) return Unusable("no class in it is a public backend provider with a constructor without parameters; this is not a plugin");
            if (found.FirstOrDefault(p => p.ContractVersion != BackendContract.Version) is { } other)
            {
                var versions = $"version {other.ContractVersion} of the contract, this program has {BackendContract.Version}";
                return Unusable($"it was built for {versions}; build it again");
            }
            return found.FirstOrDefault(p => p.Name == name) is { } provider
                ? new(name, provider, "")
                : Unusable($"it holds the backend {found[0].Name}; the folder must have that name");
        }
        catch (PluginException e)
        {
            return Unusable(e.Message);
        }
        catch (Exception e) when (e is TypeLoadException or ReflectionTypeLoadException or MissingMethodException or MissingFieldException)
        {
            return Unusable($"it was built for another version of the contract, this program has {BackendContract.Version}; build it again");
        }
        catch (Exception e)
        {
            var cause = e is TargetInvocationException { InnerException: { } inner } ? inner : e;
            return Unusable($"{cause.Message.TrimEnd('.')}; the plugin is damaged: install it again");
        }

        NamedBackend Unusable(string why) => new(name, null, $"{folder}: {why}");
    }

    static IEnumerable<IBackendProvider> Providers(string folder) =>
        from file in MainAssemblies(folder)
        from type in LoadWithDependencies(file).GetExportedTypes()
        where type is { IsAbstract: false, IsGenericTypeDefinition: false } && typeof(IBackendProvider).IsAssignableFrom(type)
        where type.GetConstructor(Type.EmptyTypes) is not null
        select (IBackendProvider)Activator.CreateInstance(type)!;

    /// <summary>Those that a build described; if it described none, all.</summary>
    static string[] MainAssemblies(string folder)
    {
        var all = Directory.GetFiles(folder, "*.dll").Order(StringComparer.Ordinal).ToArray();
        if (all.Length == 0) throw new PluginException("no .dll in it; this is not a plugin");
        var described = all.Where(f => File.Exists(Path.ChangeExtension(f, ".deps.json"))).ToArray();
        return described.Length > 0 ? described : all;
    }

    /// <summary>
    /// The assembly, after all that it and its own dependencies name have been found too: what is missing is said now and not in the middle of work.
    /// </summary>
    static Assembly LoadWithDependencies(string file)
    {
        var context = new Context(file);
        var main = Load(file, () => context.LoadFromAssemblyPath(file));
        Queue<Assembly> waiting = new([main]);
        HashSet<string> seen = [];
        while (waiting.TryDequeue(out var assembly))
            foreach (var needed in assembly.GetReferencedAssemblies().Where(n => seen.Add(n.FullName)))
            {
                var found = Load(needed.Name!, () => context.LoadFromAssemblyName(needed));
                if (AssemblyLoadContext.GetLoadContext(found) == context) waiting.Enqueue(found);
            }
        return main;
    }

    static Assembly Load(string what, Func<Assembly> load)
    {
        try
        {
            return load();
        }
        catch (BadImageFormatException)
        {
            throw new PluginException($"{Path.GetFileName(what)} is not a .NET assembly; this is not a plugin, or it is damaged");
        }
        catch (FileNotFoundException)
        {
            throw new PluginException($"{what}.dll, which the plugin needs, is missing; put it there or publish the plugin again");
        }
        catch (FileLoadException)
        {
            throw new PluginException($"{what}.dll, which the plugin needs, has another version; publish the plugin again");
        }
    }

    sealed class PluginException(string message) : Exception(message);

    /// <summary>What the plugin's description names comes from its folder, all else from the program.</summary>
    sealed class Context(string file) : AssemblyLoadContext(Path.GetFileNameWithoutExtension(file))
    {
        readonly AssemblyDependencyResolver _resolver = new(file);

        protected override Assembly? Load(AssemblyName name) =>
            name.Name == Contract.GetName().Name ? Contract : _resolver.ResolveAssemblyToPath(name) is { } path ? LoadFromAssemblyPath(path) : null;

        protected override nint LoadUnmanagedDll(string name) => _resolver.ResolveUnmanagedDllToPath(name) is { } path ? LoadUnmanagedDllFromPath(path) : 0;
    }
}
