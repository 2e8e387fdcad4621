namespace SparseExperts.Routing;

/// <summary>Choices that no score decides: tables, tasks, chance, everybody.</summary>
static class Given
{
    /// <summary>Experts by token id (Roller et al. 2021; DeepSeek-V4's first layers), or by a token's place (TensorRT-LLM).</summary>
    public static Choices FromTable(RouterCall call)
    {
        var k = call.K;
        if (call.Table.Length == 0) throw new RoutingException($"{call.Where}: {call.Dialect.Name} routes by a table; give router.table [V, {k}]");
        if (call.Dialect.Selection == Selection.HashTable && call.TokenIds.Length != call.Tokens)
            throw new RoutingException($"{call.Where}: {call.Dialect.Name} routes by token id; give one id a token ({call.TokenIds.Length} for {call.Tokens})");
        var expert = new int[call.Tokens * k];
        for (var t = 0; t < call.Tokens; t++)
        {
            var row = RowOf(call, t);
            if ((uint)row >= (uint)(call.Table.Length / k))
                throw new RoutingException($"{call.Where}: token {t} has id {row}, the table has {call.Table.Length / k} rows; enlarge the table");
            for (var j = 0; j < k; j++)
                expert[t * k + j] = call.Table[row * k + j] is var e && (uint)e < (uint)call.Experts
                    ? e
                    : throw new RoutingException($"{call.Where}: row {row} of the table names expert {e} of {call.Experts}; correct the table");
        }
        return Of(call, k, expert);
    }

    /// <summary>A token's row of the table: its id, or its place in the whole batch.</summary>
    static int RowOf(RouterCall call, int token) =>
        call.Dialect.Selection == Selection.HashTable ? call.TokenIds[token] : (int)((call.FirstToken + (long)token) % (call.Table.Length / call.K));

    /// <summary>The numbers beside the experts [T, K]; null where the table has none.</summary>
    public static float[]? GatesFromTable(RouterCall call) => call.TableGates.Length == 0 ? null
        : [.. Enumerable.Range(0, call.Tokens * call.K).Select(i => call.TableGates[RowOf(call, i / call.K) * call.K + i % call.K])];

    /// <summary>Choice j of token t is expert (t·k + j) mod E, t counted over the whole batch.</summary>
    public static Choices RoundRobin(RouterCall call)
    {
        var first = call.FirstToken * (long)call.K;
        return Of(call, call.K, [.. Enumerable.Range(0, call.Tokens * call.K).Select(i => (int)((first + i) % call.Experts))]);
    }

    /// <summary>The expert of the task or domain (Gururangan et al. 2021).</summary>
    public static Choices FromTasks(RouterCall call)
    {
        RequireTasks(call);
        return Of(call, 1, [.. call.TaskIds.Select(task => task % call.Experts)]);
    }

    public static void RequireTasks(RouterCall call)
    {
        if (call.TaskIds.Length != call.Tokens)
            throw new RoutingException($"{call.Where}: {call.Dialect.Name} routes by task; give one task id a token ({call.TaskIds.Length} for {call.Tokens})");
        if (call.TaskIds.FirstOrDefault(task => task < 0) is < 0 and var bad) throw new RoutingException($"{call.Where}: task id {bad}; task ids count from 0");
    }

    /// <summary>One expert for the whole call while training, one a token in evaluation (THOR, Zuo et al. 2022).</summary>
    public static Choices Random(RouterCall call)
    {
        var draws = call.Draws.Sample ?? throw new RoutingException($"{call.Where}: {call.Dialect.Name} draws its experts; give draws.sample");
        int Drawn(int t) => Math.Min((int)(draws[t * call.Experts] * call.Experts), call.Experts - 1);
        return Of(call, 1, [.. Enumerable.Range(0, call.Tokens).Select(t => Drawn(call.Training ? 0 : t))]);
    }

    /// <summary>An expert drawn from the softmax by the Gumbel maximum while training, the best in evaluation (Clark et al. 2022).</summary>
    public static Choices Sampled(RouterCall call, RouterNumbers numbers)
    {
        if (!call.Training) return TopK.Select(call, numbers);
        var draws = call.Draws.Sample ?? throw new RoutingException($"{call.Where}: {call.Dialect.Name} samples its experts; give draws.sample");
        var ranking = TopK.Disturbed(numbers.Logits, i => -ReproducibleMath.Log(-ReproducibleMath.Log(Math.Max(1e-9, draws[i]))), 1, call.Experts);
        var nobody = new bool[call.Experts];
        int[] drawn = [.. Enumerable.Range(0, call.Tokens).Select(t => Ranking.Best(ranking.Row(t), nobody, call.Dialect.Ties))];
        return Of(call, 1, drawn) with { Rankings = [ranking] };
    }

    /// <summary>All experts for every token (Eigen et al. 2013; Ma et al. 2018).</summary>
    public static Choices Everything(RouterCall call) =>
        Of(call, call.Experts, [.. Enumerable.Range(0, call.Tokens * call.Experts).Select(i => i % call.Experts)]);

    static Choices Of(RouterCall call, int k, int[] expert)
    {
        var requests = (int[])expert.Clone();
        if (call.Dialect.Padding == PaddingRule.Skipped)
            for (var i = 0; i < requests.Length; i++)
                if (!call.IsReal(i / k)) requests[i] = -1;
        return new() { K = k, Candidate = expert, Expert = requests };
    }
}
