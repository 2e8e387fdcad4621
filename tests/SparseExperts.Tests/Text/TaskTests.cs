using System.Text;
using SparseExperts.Data;
using SparseExperts.Text;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Text;

public sealed class TaskTests
{
    static readonly ByteTokenizer Bytes = new();
    static readonly TextToTextIds Ids = TextToTextIds.Bytes;

    static readonly TextTask[] Tasks = [.. Enumerable.Range(0, 10).Select(i => new TextTask($"add {i} {i}", $"{2 * i}"))];

    static IReadOnlyList<TextTask> Parse(string text) => TextTasks.Parse("t.jsonl", Encoding.UTF8.GetBytes(text));

    [Fact]
    public void Lines_are_tasks() =>
        Assert.Equal(
            [new TextTask("a", "b"), new TextTask("c\n", "")],
            Parse("\uFEFF{\"input\": \"a\", \"target\": \"b\", \"id\": 3}\r\n\n{\"target\": \"\", \"input\": \"c\\n\"}"));

    [Theory]
    [InlineData(
        "{\"input\": \"a\", \"target\": \"b\"}\n{\"input\": \"a\"}",
        "t.jsonl, line 2: has no target, it has input; write {\"input\": \"…\", \"target\": \"…\"} a line")]
    [InlineData("{\"input\": \"a\", \"targets\": \"b\"}", "t.jsonl, line 1: has no target, it has input, targets; write")]
    [InlineData("{}", "t.jsonl, line 1: has no input; write")]
    [InlineData("\n\n{\"input\": 1, \"target\": \"b\"}", "t.jsonl, line 3: input must be a string; write {")]
    [InlineData("[]", "t.jsonl, line 1: is no object; write {")]
    [InlineData("{\"input\": ", "t.jsonl, line 1: no JSON")]
    [InlineData("{\"input\": \"a\", \"input\": \"a\", \"target\": \"b\"}", "t.jsonl, line 1: no JSON")]
    [InlineData("{\"input\": \"\\ud800\", \"target\": \"b\"}", "t.jsonl, line 1: a string is no text")]
    [InlineData(" \n", "has no tasks")]
    public void A_line_that_is_no_task_is_said_with_its_number(string text, string says)
    {
        var e = Assert.Throws<DataException>(() => Parse(text));
        Assert.Contains(says, e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Fact]
    public void The_same_tasks_are_held_out_every_time()
    {
        TextTask[] many = [.. Enumerable.Range(0, 100).Select(i => new TextTask($"{i}", ""))];
        var (train, heldOut) = TextTasks.Split(many, "t.jsonl");
        Assert.Equal(5, heldOut.Count);
        Assert.Equal(many.Length, train.Concat(heldOut).Distinct().Count());
        Assert.Equal(heldOut, TextTasks.Split(many, "t.jsonl").HeldOut);
        Assert.Single(TextTasks.Split(many[..2], "t.jsonl").HeldOut);
        Assert.StartsWith("t.jsonl: 1 task: ", Assert.Throws<DataException>(() => TextTasks.Split(many[..1], "t.jsonl")).Message);
    }

    /// <summary>Three steps of four from ten tasks: each is there once before one comes again, and in another order the next time.</summary>
    [Fact]
    public void Every_round_has_every_task_once()
    {
        var batches = new TaskBatches(Tasks, Bytes, Ids, 64, 64, 1, 5);
        string[] Inputs(long step) => [.. batches.Of(step).Ids.Chunk(batches.Lengths.Encoder).Select(row => Bytes.Decode(row))];
        string[] first = [.. Inputs(0), .. Inputs(1)], second = [.. Inputs(2), .. Inputs(3)];
        Assert.Equal(Tasks.Select(t => t.Input).Order(), first.Order());
        Assert.Equal(first.Order(), second.Order());
        Assert.NotEqual(first, second);
        Assert.Equal(Inputs(2), new TaskBatches(Tasks, Bytes, Ids, 64, 64, 1, 5).Of(2).Ids.Chunk(batches.Lengths.Encoder).Select(row => Bytes.Decode(row)));
    }

    [Fact]
    public void Long_tasks_are_cut_before_the_end_and_counted()
    {
        var batches = new TaskBatches([new("abcdef", "xyz"), new("a", "x")], Bytes, Ids, 4, 3, 1, 2);
        Assert.Equal(1, batches.Shortened);
        var batch = batches.All().Single();
        Assert.Equal(['a', 'b', 'c', Ids.End, 'a', Ids.End, Ids.Padding, Ids.Padding], batch.Ids);
        Assert.Equal(['x', 'y', Ids.End, 'x', Ids.End, -100], batch.Labels);
    }

    [Fact]
    public void A_match_is_of_the_text_before_the_end()
    {
        bool IsRight(params int[] written) => ExactMatch.IsRight(written, ['1', '2'], Bytes, Ids);
        Assert.True(IsRight('1', '2'));
        Assert.True(IsRight(' ', '1', '2', Ids.End, '3'));
        Assert.False(IsRight('1', '2', '3', Ids.End));
        Assert.Equal(0.5, new ExactMatch(0, 0).With(true).With(false).Share);
    }

    [Fact]
    public void Packed_rows_have_every_token_once_and_in_order()
    {
        int[][] texts = [[1, 2, 3], [], [4], [5, 6, 7, 8, 9, 10, 11]];
        var rows = Packing.Pack(texts, 4, end: 0, padding: -1).ToArray();
        Assert.All(rows, r => Assert.Equal((4, 4), (r.Ids.Length, r.Texts.Length)));
        Assert.Equal(texts.SelectMany(t => t.Append(0)), rows.SelectMany(r => r.Ids.Where((_, i) => r.Texts[i] > 0)));
        Assert.Equal([[1, 1, 1, 1], [1, 2, 2, 3], [1, 1, 1, 1], [1, 1, 1, 0]], rows.Select(r => r.Texts));
        Assert.Equal(-1, rows[^1].Ids[^1]);
    }

    [Fact]
    public void Shares_of_a_mixture_follow_the_temperature()
    {
        Assert.Equal([0.8, 0.2], new Mixture([800, 200], 1).Shares.Select(s => Math.Round(s, 12)));
        Assert.Equal([0.5, 0.5], new Mixture([800, 200], double.PositiveInfinity).Shares);
        // n^0.5: 4 and 1 of 16 and 1.
        Assert.Equal([0.8, 0.2], new Mixture([16, 1], 2).Shares.Select(s => Math.Round(s, 12)));
        Assert.Equal(1, new Mixture([long.MaxValue, long.MaxValue, 1], 3.3).Shares.Sum(), 12);
        Assert.Equal([0, 1, 1], new[] { 0.79, 0.81, 0.999999 }.Select(new Mixture([800, 200], 1).Choose));
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(double.NaN)]
    public void A_temperature_below_1_is_refused(double temperature) => Assert.Throws<DataException>(() => new Mixture([1], temperature));
}
