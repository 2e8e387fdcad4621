using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;
using FsCheck.Fluent;
using FsCheck.Xunit;
using Xunit;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace SparseExperts.Conformance.Cpu;

/// <summary>
/// Tests of the configuration that all laws share: false laws, run by FsCheck's own xUnit runner. They alone change the environment, so nothing runs
/// beside them.
/// </summary>
[Collection(nameof(Environment))]
public sealed class LawAttributeTests : IDisposable
{
    [CollectionDefinition(nameof(Environment), DisableParallelization = true)]
    public sealed class Alone;

    static readonly string[] Variables = ["PROP_SEED", "PROP_TESTS"];
    readonly string?[] _before = [.. Variables.Select(Environment.GetEnvironmentVariable)];

    public LawAttributeTests() => Set([null, null]);

    public void Dispose() => Set(_before);

    static void Set(string?[] values)
    {
        foreach (var (variable, value) in Variables.Zip(values)) Environment.SetEnvironmentVariable(variable, value);
    }

    [Fact]
    public async Task A_false_law_fails_with_the_smallest_case_and_a_line_to_replay()
    {
        var message = await Failure(nameof(FalseLaws.No_recipe_has_eight_rows), seed: null);
        Assert.Matches(@"Falsifiable, after \d+ tests? \(\d+ shrinks?\) \(\d+,\d+\)", message);
        Assert.Matches(@"Replay directly at failing step with \(\d+,\d+,\d+\)", message);
        Assert.Contains("Original:\nevery card drawn from seed ", message, StringComparison.Ordinal);
        Assert.Matches(@"Shrunk:\nAdd\(a 8×1.* drawn from seed \d+, 8×1×1, Calm", message);
        Assert.Contains("Sentence: Add: eight rows, in Add(a 8×1", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_same_cases_are_drawn_on_every_run()
    {
        var first = await Failure(nameof(FalseLaws.No_recipe_has_eight_rows), seed: null);
        Assert.Equal(first, await Failure(nameof(FalseLaws.No_recipe_has_eight_rows), seed: null));
    }

    [Fact]
    public void The_seed_is_a_hash_of_class_and_name()
    {
        const string seed = "7025696293874601849,7025696293874601849";
        Assert.Equal(seed, new LawAttribute(1, law: "Some_law", file: "/anywhere/SomeLaws.cs").Replay);
        Assert.Equal(seed, new LawAttribute(1, law: "Some_law", file: @"C:\else\SomeLaws.cs").Replay);
        Assert.NotEqual(seed, new LawAttribute(1, law: "Some_law", file: "OtherLaws.cs").Replay);
    }

    [Fact]
    public async Task What_a_random_run_prints_replays_it()
    {
        var found = await Failure(nameof(FalseLaws.No_recipe_has_eight_rows), seed: "random");
        var run = Regex.Match(found, @"shrinks?\) (\(\d+,\d+\))").Groups[1].Value;
        Assert.Equal(found, await Failure(nameof(FalseLaws.No_recipe_has_eight_rows), run));

        var step = Regex.Match(found, @"Replay directly at failing step with (\(\d+,\d+,\d+\))").Groups[1].Value;
        var replayed = await Failure(nameof(FalseLaws.No_recipe_has_eight_rows), step);
        Assert.Contains("after 1 test ", replayed, StringComparison.Ordinal);
        Assert.Equal(Cases(found), Cases(replayed));
    }

    [Fact]
    public async Task Arbitraries_that_a_law_names_come_before_the_shared_ones()
    {
        Assert.Null(await Outcome(nameof(FalseLaws.Every_calm_recipe_is_calm), seed: null));
        Assert.NotNull(await Outcome(nameof(FalseLaws.Every_recipe_is_calm), seed: null));
    }

    [Fact]
    public void Every_card_meets_every_recipe() =>
        Assert.All(Recipe.Of(Temper.Calm).Sample(10), drawn => Assert.Equal(OpCards.All, drawn.Among(OpCards.All)));

    [Fact]
    public void The_environment_changes_the_count() =>
        Assert.Equal((60, 60, 7), (LawAttribute.Count(null, 60), LawAttribute.Count("", 60), LawAttribute.Count("7", 60)));

    [Theory]
    [InlineData("ten"), InlineData("0"), InlineData("-3")]
    public void A_count_that_is_none_is_refused(string text) =>
        Assert.Equal($"PROP_TESTS is '{text}'; give a number of tests above 0", Assert.Throws<ArgumentException>(() => LawAttribute.Count(text, 60)).Message);

    [Theory]
    [InlineData("7"), InlineData("1,2,3,4"), InlineData("1,x"), InlineData("1,2,-1")]
    public void A_seed_that_is_none_is_refused(string text) => Assert.StartsWith($"PROP_SEED is '{text}'; give ",
        Assert.Throws<ArgumentException>(() => LawAttribute.Seed(text, "")).Message, StringComparison.Ordinal);

    static string Cases(string message) => Regex.Match(message, @"Original:.*", RegexOptions.Singleline).Value;

    static async Task<string> Failure(string law, string? seed)
    {
        var failure = await Outcome(law, seed);
        Assert.NotNull(failure);
        return failure;
    }

    /// <summary>Runs one law as xUnit does; the messages of its failure, or null where it passes.</summary>
    static async Task<string?> Outcome(string law, string? seed)
    {
        Set([seed, null]);
        var type = Reflector.Wrap(typeof(FalseLaws));
        var collection = new TestCollection(new TestAssembly(type.Assembly), null, nameof(FalseLaws));
        var method = new TestMethod(new TestClass(collection, type), type.GetMethod(law, includePrivateMethod: false));
        var bus = new Messages();
        using var source = new CancellationTokenSource();
        var property = new PropertyTestCase(null, TestMethodDisplay.ClassAndMethod, TestMethodDisplayOptions.None, method, null);
        await property.RunAsync(null, bus, [], new ExceptionAggregator(), source);
        if (bus.Seen.OfType<TestFailed>().SingleOrDefault() is { } failed) return string.Join('\n', failed.Messages);
        Assert.Single(bus.Seen.OfType<TestPassed>());
        return null;
    }

    sealed class Messages : IMessageBus
    {
        public List<IMessageSinkMessage> Seen { get; } = [];

        public bool QueueMessage(IMessageSinkMessage message)
        {
            Seen.Add(message);
            return true;
        }

        public void Dispose() { }
    }

    [SuppressMessage("xUnit", "xUnit1000", Justification = "xUnit must not find what is false")]
    sealed class FalseLaws
    {
        static readonly Law EightRows = new("Sentence", (_, _, @case) => @case.Inputs.Any(input => input.Rows >= 8) ? "eight rows" : null)
        {
            Concerns = card => card.Name == "Add",
        };

        [Law(200)]
        public void No_recipe_has_eight_rows(Recipe drawn)
        {
            foreach (var card in drawn.Among(EightRows.Cards)) EightRows.Demand(null!, card, drawn.For(card));
        }

        [Law(200)]
        public void Every_recipe_is_calm(Recipe drawn) => Assert.Equal(Temper.Calm, drawn.Temper);

        [Law(200, of: typeof(CalmRecipes))]
        public void Every_calm_recipe_is_calm(Recipe drawn) => Assert.Equal(Temper.Calm, drawn.Temper);
    }
}
