using System.Diagnostics;
using System.Globalization;
using System.Runtime.Intrinsics;
using System.Text.Json;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Runs;
using SparseExperts.Training;

namespace SparseExperts.Bench;

/// <summary>
/// The default model's training throughput beside PyTorch's on the same machine in the same run: rounds alternate, the best of each
/// counts. The peer is a command that trains the same model by the same recipe and prints its speed and version as a last line of JSON:
/// <c>bench/peers/switch_lm.py</c>, or <c>bench/peers/torchsharp</c>.
/// </summary>
static class PeerStep
{
    public static void Run(int rounds, int steps, int threads, string[] peer)
    {
        double ours = 0, theirs = 0;
        var text = Path.Combine(AppContext.BaseDirectory, "data", "austen.txt");
        string? version = null;
        for (var round = 0; round < rounds; round++)
        {
            ours = Math.Max(ours, Ours(text, steps, threads));
            var (speed, torch) = Theirs(text, steps / 3, threads, peer);
            if (torch is null) { Console.WriteLine($"SparseExperts {ours:N0} bytes/s; no peer: {string.Join(' ', peer)} has no PyTorch"); return; }
            theirs = Math.Max(theirs, speed);
            version = torch;
        }
        var setting = $"default model, {threads} threads, {Simd()}, best of {rounds}";
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{setting}: SparseExperts {ours:N0} bytes/s, PyTorch {version} {theirs:N0} bytes/s, ratio {ours / theirs:F2}"));
    }

    static string Simd() => Vector512.IsHardwareAccelerated ? "AVX-512" : Vector256.IsHardwareAccelerated ? "AVX2" : "128-bit";

    static double Ours(string path, int steps, int threads)
    {
        using var backend = new CpuBackend(threads);
        var preset = Presets.Find("default");
        var model = preset.Decoder with { Width = 64, Hidden = 256, Layers = 3, Experts = 16, Context = 128 };
        var trainer = new Trainer(backend, model, preset.Training with { Batch = 16 });
        var text = ByteText.Load(path, trainer.Model.Config.Context);
        for (var i = 0; i < 50; i++) trainer.Train(text, 0, false);
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < steps; i++) trainer.Train(text, 0.5, false);
        return steps * 16.0 * 128 / clock.Elapsed.TotalSeconds;
    }

    /// <summary>PyTorch with its best setting: as many OpenMP threads, its widest kernels, OpenMP OpenBLAS where it is installed.</summary>
    static (double Speed, string? Version) Theirs(string path, int steps, int threads, string[] peer)
    {
        var start = new ProcessStartInfo(peer[0]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in (string[])[.. peer[1..], path, "--steps", $"{steps}", "--threads", $"{threads}"]) start.ArgumentList.Add(argument);
        start.Environment["OMP_NUM_THREADS"] = $"{threads}";
        if (Vector512.IsHardwareAccelerated) start.Environment["ATEN_CPU_CAPABILITY"] = "avx512";
        var blas = "/usr/lib/x86_64-linux-gnu/openblas-openmp/libblas.so.3";
        if (File.Exists(blas)) start.Environment["LD_PRELOAD"] = blas;
        try
        {
            using var process = Process.Start(start)!;
            var errors = process.StandardError.ReadToEndAsync();
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode != 0)
            {
                var isAbsent = errors.Result.Contains("No module named", StringComparison.Ordinal);
                return isAbsent ? (0, null) : throw new InvalidOperationException(errors.Result);
            }
            var last = JsonDocument.Parse(output.TrimEnd().Split('\n')[^1]).RootElement;
            return (last.GetProperty("bytes_per_second").GetDouble(), last.GetProperty("torch").GetString());
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return (0, null);       // no such interpreter
        }
    }
}
