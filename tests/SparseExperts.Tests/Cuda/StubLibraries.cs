using System.Diagnostics;
using System.Runtime.CompilerServices;
using SparseExperts.Cuda;

namespace SparseExperts.Tests.Cuda;

/// <summary>A driver and a cuBLAS in host memory, compiled from C: on Linux, where a compiler is needed for it.</summary>
static class StubLibraries
{
    static readonly Lazy<string?> Built = new(Build);

    /// <summary>Folder of the two libraries; null on other systems than Linux.</summary>
    /// <exception cref="InvalidOperationException">There is no compiler, or it does not compile them.</exception>
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
        Compile("stub_driver.c", Path.Combine(folder, "libcuda.so.1"));
        Compile("stub_cublas.c", Path.Combine(folder, "libcublas.so.12"));
        return folder;
    }

    static void Compile(string source, string library)
    {
        try
        {
            using var compiler = Process.Start("cc", ["-O1", "-shared", "-fPIC", "-o", library, Path.Combine(Here(), source)]);
            compiler.WaitForExit();
            if (compiler.ExitCode != 0) throw new InvalidOperationException($"cc does not compile {source}; it ended with {compiler.ExitCode}");
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new InvalidOperationException("no C compiler, without which the adapter for NVIDIA's driver cannot be tested; install gcc or clang as cc", e);
        }
    }

    static string Here([CallerFilePath] string here = "") => Path.GetDirectoryName(here)!;
}
