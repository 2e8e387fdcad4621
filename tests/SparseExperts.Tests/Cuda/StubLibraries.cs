using System.Diagnostics;
using System.Runtime.CompilerServices;
using SparseExperts.Cuda;

namespace SparseExperts.Tests.Cuda;

/// <summary>A driver and a cuBLAS in host memory, compiled from C where there is a compiler (Linux only).</summary>
static class StubLibraries
{
    static readonly Lazy<string?> Built = new(Build);

    /// <summary>Folder of the two libraries; null where nothing compiles them.</summary>
    public static string? Folder => Built.Value;

    /// <summary>From now on this process's driver is the stub; false where there is none.</summary>
    public static bool Use()
    {
        if (Folder is null) return false;
        Environment.SetEnvironmentVariable("SPARSEEXPERTS_CUDA_LIBRARIES", Folder);
        return ManagedCudaDriver.Probe().Why.StartsWith("Stub", StringComparison.Ordinal);
    }

    static string? Build()
    {
        if (!OperatingSystem.IsLinux()) return null;
        var folder = Path.Combine(AppContext.BaseDirectory, "stub-libraries");
        Directory.CreateDirectory(folder);
        return Compile("stub_driver.c", Path.Combine(folder, "libcuda.so.1")) && Compile("stub_cublas.c", Path.Combine(folder, "libcublas.so.12")) ? folder : null;
    }

    static bool Compile(string source, string library)
    {
        try
        {
            using var compiler = Process.Start("cc", ["-O1", "-shared", "-fPIC", "-o", library, Path.Combine(Here(), source)]);
            compiler.WaitForExit();
            return compiler.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    static string Here([CallerFilePath] string here = "") => Path.GetDirectoryName(here)!;
}
