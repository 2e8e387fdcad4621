using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Loader;

namespace SparseExperts.Cuda;

/// <summary>
/// Finds the driver's library and cuBLAS. ManagedCuda asks for names that Linux systems often lack (`libcuda`, `cublas`, `cublas64_12`); whoever runs a
/// driver without the toolkit has `libcuda.so.1`, and a cuBLAS of its Python packages. Folders named in the environment variable
/// <see cref="FoldersVariable"/>, separated as PATH is, come before the system's own search.
/// </summary>
static class CudaLibraries
{
    public const string FoldersVariable = "SPARSEEXPERTS_CUDA_LIBRARIES";

    public static readonly string[] DriverNames = ["libcuda.so.1", "libcuda.so", "nvcuda.dll"];
    public static readonly string[] CublasNames = ["libcublas.so.12", "libcublas.so.13", "libcublas.so", "cublas64_12.dll", "cublas64_13.dll"];

    static readonly HashSet<AssemblyLoadContext> Watched = [];

    /// <summary>Must run before the first call into <paramref name="declarations"/>. Several calls do no harm.</summary>
    public static void Serve(Assembly declarations)
    {
        var context = AssemblyLoadContext.GetLoadContext(declarations)!;
        lock (Watched)
            if (Watched.Add(context)) context.ResolvingUnmanagedDll += (_, name) => Find(name);
    }

    /// <summary>Names that were sought, for a message.</summary>
    public static string Sought(string[] names)
    {
        var here = names.Where(n => n.EndsWith(".dll", StringComparison.Ordinal) == OperatingSystem.IsWindows());
        var folders = Folders().Length == 0
            ? $" (no folder is named in {FoldersVariable})"
            : $" nor in {FoldersVariable}={Environment.GetEnvironmentVariable(FoldersVariable)}";
        return $"none of {string.Join(", ", here)} in the system's search{folders}";
    }

    static nint Find(string name) => name switch
    {
        "libcuda" or "nvcuda" => Load(DriverNames),
        "cublas" or "cublas64_12" => Load(CublasNames),
        _ => 0,
    };

    static nint Load(string[] names)
    {
        foreach (var folder in Folders())
            foreach (var file in names.Select(n => Path.Combine(folder, n)).Where(File.Exists))
            {
                LoadCompanion(file);
                if (NativeLibrary.TryLoad(file, out var library)) return library;
            }
        foreach (var name in names)
            if (NativeLibrary.TryLoad(name, out var library)) return library;
        return 0;
    }

    /// <summary>cuBLAS needs its second library, which the system finds beside it only if the first one says so.</summary>
    static void LoadCompanion(string file)
    {
        var companion = Path.Combine(Path.GetDirectoryName(file)!, Path.GetFileName(file).Replace("cublas", "cublasLt", StringComparison.Ordinal));
        if (companion != file && File.Exists(companion)) NativeLibrary.TryLoad(companion, out _);
    }

    static string[] Folders()
    {
        char[] separators = OperatingSystem.IsWindows() ? [';'] : [':', ';'];
        var named = Environment.GetEnvironmentVariable(FoldersVariable) ?? "";
        return named.Split(separators, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }
}
