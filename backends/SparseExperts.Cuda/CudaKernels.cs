using System.Text.RegularExpressions;

namespace SparseExperts.Cuda;

/// <summary>The kernels that ship, by name. A file of PTX is loaded when the first of its kernels is asked for.</summary>
sealed partial class CudaKernels(ICudaDriver driver)
{
    /// <summary>Which file has a kernel. Names are unique over all files.</summary>
    static readonly Dictionary<string, string> Files = FilesOfKernels();

    readonly Dictionary<string, CudaModule> _modules = [];
    readonly Dictionary<string, CudaFunction> _functions = [];

    public CudaFunction this[string kernel]
    {
        get
        {
            if (_functions.TryGetValue(kernel, out var function)) return function;
            var file = Files[kernel];
            if (!_modules.TryGetValue(file, out var module)) _modules[file] = module = driver.LoadModule(file, Text(file));
            return _functions[kernel] = driver.Function(module, kernel);
        }
    }

    /// <summary>Names of the PTX files that ship.</summary>
    public static IEnumerable<string> Modules =>
        typeof(CudaKernels).Assembly.GetManifestResourceNames().Where(n => n.EndsWith(".ptx", StringComparison.Ordinal)).Order();

    /// <summary>A file of PTX as it ships.</summary>
    public static byte[] Text(string file)
    {
        using var stream = typeof(CudaKernels).Assembly.GetManifestResourceStream(file)!;
        var text = new byte[stream.Length];
        stream.ReadExactly(text);
        return text;
    }

    static Dictionary<string, string> FilesOfKernels()
    {
        Dictionary<string, string> files = [];
        foreach (var file in Modules)
            foreach (Match entry in Entry().Matches(System.Text.Encoding.ASCII.GetString(Text(file)))) files.Add(entry.Groups[1].Value, file);
        return files;
    }

    [GeneratedRegex(@"\.visible \.entry (\w+)\(")]
    private static partial Regex Entry();
}
