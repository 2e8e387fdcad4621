using System.CommandLine;
using System.Text.Json;

namespace SparseExperts.Cli.SelfTest;

/// <summary><c>moe selftest</c>: whether a backend computes what it should on this machine, and how fast.</summary>
static class SelfTestCommand
{
    public static Command Create()
    {
        var backend = CommonOptions.Backend();
        var precision = CommonOptions.Precision();
        var threads = CommonOptions.Threads();
        var seed = new Option<int>("--seed") { Description = "Seed of the drawn cases and of training.", DefaultValueFactory = _ => 1 };
        var maxSize = new Option<int>("--max-size") { Description = "Largest number of rows or columns in a case.", DefaultValueFactory = _ => 4096 };
        var dialects = new Option<string[]>("--dialect")
        {
            Description = $"Dialects to train; {string.Join(", ", TrainingSelfTest.Usual)} where none is named.",
            DefaultValueFactory = _ => TrainingSelfTest.Usual,
        };
        var parts = new Option<string[]>("--parts")
        {
            Description = "What to test: ops, training, speed (which is measured and not judged).",
            DefaultValueFactory = _ => ["ops", "training"],
            AllowMultipleArgumentsPerToken = true,
        };
        parts.AcceptOnlyFromAmong("ops", "training", "speed");
        var json = new Option<bool>("--json") { Description = "Print one JSON object a test." };
        var command = new Command("selftest", "Hold a backend to the definition on this machine: every op, and ten training steps.")
        {
            backend, precision, threads, seed, maxSize, dialects, parts, json,
        };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(maxSize) < 1) throw new Models.ConfigurationException($"--max-size {parsed.GetValue(maxSize)}: at least 1");
            using var machine = BackendCatalog.Create(parsed.GetValue(backend)!, parsed.GetValue(threads), precision: parsed.GetValue(precision));
            var asJson = parsed.GetValue(json);
            if (!asJson) Console.WriteLine($"{machine.Info.Name}: {machine.Info.Device}; {machine.Info.Precision}");
            var (failed, judged, measured) = (0, 0, 0);
            var asked = parsed.GetValue(parts)!;
            var tests = (asked.Contains("ops") ? OpSelfTest.Run(machine, parsed.GetValue(seed), parsed.GetValue(maxSize)) : [])
                .Concat(asked.Contains("training") ? TrainingSelfTest.Run(machine, parsed.GetValue(dialects)!, (ulong)parsed.GetValue(seed)) : []);
            foreach (var test in tests)
            {
                judged++;
                if (!test.Passed) failed++;
                Console.WriteLine(asJson ? Json(test) : test.Line);
            }
            if (asked.Contains("speed"))
                foreach (var line in Throughput.Measure(machine, parsed.GetValue(maxSize)))
                {
                    measured++;
                    Console.WriteLine(asJson ? JsonSerializer.Serialize(new { kind = "speed", line }) : line);
                }
            // Of nothing all tests pass.
            if (judged + measured == 0)
                throw new Models.ConfigurationException($"--max-size {parsed.GetValue(maxSize)}: nothing of {string.Join(", ", asked)} is so small; raise it");
            if (!asJson && judged > 0) Console.WriteLine(failed == 0 ? "all tests passed" : $"{failed} tests failed");
            return failed == 0 ? ExitCode.Ok : ExitCode.Differs;
        });
        return command;
    }

    static string Json(SelfTestResult test) => JsonSerializer.Serialize(new
    {
        kind = test.Kind,
        name = test.Name,
        passed = test.Passed,
        cases = test.Cases,
        same_bits = test.SameBits,
        worst_share = double.IsNaN(test.WorstShare) ? (double?)null : test.WorstShare,
        @case = test.Case,
        fault = test.Fault,
    });
}
