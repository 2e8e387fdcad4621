using SparseExperts.Conformance;
using SparseExperts.Conformance.Reordered;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Saboteurs;

/// <summary>Tests of the tests: each broken backend breaks the law that its test names, and the healthy one keeps it.</summary>
public sealed class SaboteurTests
{
    const string Products = "Gemm A·B";

    [Fact]
    public void A_descending_chain_is_not_the_definition() => Caught(inner => new DescendingChain(inner), DefinitionLaws.EqualsTheDefinition, Products);

    [Fact]
    public void Partial_sums_of_blocks_are_not_the_definition() =>
        Caught(inner => new PartialSumsOfBlocks(inner), DefinitionLaws.EqualsTheDefinition, Products);

    [Fact]
    public void A_product_rounded_before_the_sum_is_not_the_definition() =>
        Caught(inner => new MultiplyThenAdd(inner), DefinitionLaws.EqualsTheDefinition, Products);

    /// <summary>Where bits are not promised the same products and scatters are right.</summary>
    [Fact]
    public void A_sum_in_another_order_keeps_the_laws_of_a_backend_that_promises_no_bits()
    {
        (Func<IBackend, IBackend> Order, string Card)[] orders =
        [
            (i => new DescendingChain(i), Products),
            (i => new PartialSumsOfBlocks(i), Products),
            (i => new MultiplyThenAdd(i), Products),
            (i => new ScatterInDescendingOrder(i), "ScatterAddRows"),
        ];
        foreach (var (order, name) in orders)
        {
            using var subject = new Subject(_ => order(new ScalarBackend<Float32>()), canonical: false);
            foreach (var law in (Law[])[DefinitionLaws.EqualsTheDefinition, DefinitionLaws.WithinTheBound])
                foreach (var drawn in Cases(OpCards.Named(name), law)) law.Demand(subject, OpCards.Named(name), drawn);
        }
    }

    [Fact]
    public void A_sum_without_its_last_term_leaves_the_bound() => Caught(inner => new LastTermForgotten(inner), DefinitionLaws.WithinTheBound, Products);

    [Fact]
    public void A_sum_that_is_one_unit_off_where_no_order_rounds_leaves_the_bound() =>
        Caught(inner => new OneUnitOff(inner), DefinitionLaws.WithinTheBound, Products);

    [Fact]
    public void An_order_chosen_by_the_batch_shows_when_a_row_runs_alone() => Caught(inner => new OrderByBatchSize(inner), InvarianceLaws.Batch, Products);

    [Fact]
    public void A_sum_split_among_threads_shows_between_thread_counts() =>
        Caught((inner, threads) => new SumSplitAmongThreads(inner, threads), InvarianceLaws.Threads, Products);

    [Fact]
    public void Overwriting_that_multiplies_by_zero_keeps_a_NaN() =>
        Caught(inner => new OverwritingReadsTheDestination(inner), MemoryLaws.OverwritingIgnores, Products);

    [Fact]
    public void Accumulating_that_overwrites_forgets_the_old_value() =>
        Caught(inner => new AccumulatingOverwrites(inner), MemoryLaws.AccumulatingAdds, Products);

    [Fact]
    public void A_stale_tail_shows_the_garbage_that_was_there() => Caught(inner => new TailLeftStale(inner), MemoryLaws.OverwritingIgnores, "Multiply");

    [Fact]
    public void A_stale_tail_is_not_the_definition() => Caught(inner => new TailLeftStale(inner), DefinitionLaws.EqualsTheDefinition, "Multiply");

    [Fact]
    public void One_element_past_the_view_hits_a_guard() => Caught(inner => new OneElementPastTheView(inner), MemoryLaws.WritesStayInside, "Add");

    [Fact]
    public void A_source_used_as_scratch_is_seen() => Caught(inner => new SourceUsedAsScratch(inner), MemoryLaws.InputsAreKept, "Softmax");

    [Fact]
    public void An_index_moved_into_range_is_not_none() => Caught(inner => new IndicesMovedIntoRange(inner), CallLaws.WrongIndices, "ScatterAddRows");

    [Fact]
    public void A_fault_that_nobody_hears_of_is_missed() => Caught(inner => new FaultsForgotten(inner), CallLaws.WrongIndices, "GatherRows");

    [Fact]
    public void A_flag_that_stays_up_is_seen() => Caught(inner => new FaultsToldTwice(inner), CallLaws.WrongIndices, "CrossEntropy");

    [Fact]
    public void A_cast_that_cuts_off_is_not_the_definition() => Caught(inner => new CastsCutOff(inner), DefinitionLaws.EqualsTheDefinition, "Cast");

    [Fact]
    public void A_cast_that_cuts_off_does_not_round() => Caught(inner => new CastsCutOff(inner), FormatLaws.ThereAndBack, "Cast");

    [Fact]
    public void A_format_taken_silently_is_seen() => Caught(inner => new FormatsTakenSilently(inner), FormatLaws.Refused, "Softmax");

    [Fact]
    public void Scatter_in_descending_order_is_not_the_definition() =>
        Caught(inner => new ScatterInDescendingOrder(inner), DefinitionLaws.EqualsTheDefinition, "ScatterAddRows");

    [Fact]
    public void One_chain_over_all_sequences_does_not_come_from_shards() =>
        Caught(inner => new OneChainOverAllSequences(inner), ShardLaws.Shards, "GemmOuter");

    [Fact]
    public void Blocks_that_ignore_where_sequences_begin_do_not_come_from_shards() =>
        Caught(inner => new BlocksIgnoreSequences(inner), ShardLaws.Shards, "SumColumns");

    [Fact]
    public void A_sum_that_starts_from_what_is_there_does_not_come_from_shards() =>
        Caught(inner => new SumStartsFromWhatIsThere(inner), ShardLaws.Shards, "ScatterAddTokens");

    [Fact]
    public void One_chain_along_k_does_not_come_from_ranks() => Caught(inner => new OneChainAlongK(inner), ShardLaws.Products, Products);

    [Fact]
    public void Nothing_read_as_row_zero_is_seen_exactly() => Caught(inner => new NothingReadsRowZero(inner), DefinitionLaws.WithinTheBound, "GatherRows");

    [Fact]
    public void Softmax_without_its_maximum_overflows_out_of_the_bound() =>
        Caught(inner => new SoftmaxWithoutItsMaximum(inner), DefinitionLaws.WithinTheBound, "Softmax");

    [Fact]
    public void The_slope_of_another_gelu_is_not_the_derivative() => CaughtByDifferences(inner => new SlopeOfAnotherGelu(inner), "Activate GeluErf");

    [Fact]
    public void Half_a_slope_at_zero_is_not_the_documented_one() => Caught(inner => new HalfASlopeAtZero(inner), DefinitionLaws.AtAKink, "Activate Relu");

    [Fact]
    public void Variance_over_n_minus_one_leaves_the_bound() => Caught(inner => new VarianceOverNMinusOne(inner), DefinitionLaws.WithinTheBound, "LayerNorm");

    [Fact]
    public void Variance_over_n_minus_one_is_not_what_the_gradient_belongs_to() => CaughtByDifferences(inner => new VarianceOverNMinusOne(inner), "LayerNorm");

    [Fact]
    public void Rms_norm_without_epsilon_leaves_the_bound() => Caught(inner => new RmsNormWithoutEpsilon(inner), DefinitionLaws.WithinTheBound, "RmsNorm");

    [Fact]
    public void Ignored_labels_that_count_leave_the_bound() => Caught(inner => new IgnoredLabelsCount(inner), DefinitionLaws.WithinTheBound, "CrossEntropy");

    [Fact]
    public void Smoothing_over_the_other_classes_leaves_the_bound() =>
        Caught(inner => new SmoothingOverTheOtherClasses(inner), DefinitionLaws.WithinTheBound, "CrossEntropy");

    [Fact]
    public void Smoothing_over_the_other_classes_is_not_what_the_gradient_belongs_to() =>
        CaughtByDifferences(inner => new SmoothingOverTheOtherClasses(inner), "CrossEntropy");

    [Fact]
    public void A_causal_mask_off_by_one_leaves_the_bound() =>
        Caught(inner => new CausalMaskOffByOne(inner), DefinitionLaws.WithinTheBound, "Attention causal");

    [Fact]
    public void Causal_queries_at_the_start_of_the_keys_leave_the_bound() =>
        Caught(inner => new CausalWithoutOffset(inner), DefinitionLaws.WithinTheBound, "Attention cached");

    [Fact]
    public void One_flag_for_three_gradients_leaves_the_bound() =>
        Caught(inner => new OneFlagForThreeGradients(inner), DefinitionLaws.WithinTheBound, "Attention full");

    [Fact]
    public void A_window_of_one_key_more_leaves_the_bound() =>
        Caught(inner => new WindowOfOneMore(inner), DefinitionLaws.WithinTheBound, "Attention window");

    [Fact]
    public void Sinks_that_take_no_share_leave_the_bound() => Caught(inner => new SinksIgnored(inner), DefinitionLaws.WithinTheBound, "Attention sinks");

    [Fact]
    public void Keys_of_the_last_head_alone_are_not_the_derivative() => CaughtByDifferences(inner => new KeysOfTheLastHead(inner), "Attention grouped");

    [Fact]
    public void A_scale_applied_twice_is_not_the_derivative() => CaughtByDifferences(inner => new ScaleAppliedTwiceInTheBackward(inner), "Attention full");

    [Fact]
    public void Dropout_without_its_factor_leaves_the_bound() => Caught(inner => new DropoutWithoutItsFactor(inner), DefinitionLaws.WithinTheBound, "Dropout");

    [Fact]
    public void Rotary_of_neighbours_leaves_the_bound() => Caught(inner => new RotaryOfNeighbours(inner), DefinitionLaws.WithinTheBound, "Rotary");

    [Fact]
    public void Decay_inside_the_gradient_leaves_the_bound() => Caught(inner => new DecayInsideTheGradient(inner), DefinitionLaws.WithinTheBound, "AdamW");

    [Fact]
    public void A_norm_of_the_first_lanes_leaves_the_bound() => Caught(inner => new NormOfTheFirstLanes(inner), DefinitionLaws.WithinTheBound, "StepFactor");

    [Fact]
    public void Steps_that_forget_the_one_before_are_seen() =>
        Caught(inner => new StepsThatForgetTheOneBefore(inner), DefinitionLaws.WithinTheBound, "StepFactor");

    [Fact]
    public void Steps_that_are_never_left_out_are_seen() => Caught(inner => new StepsThatAreNeverLeftOut(inner), DefinitionLaws.WithinTheBound, "AdamW");

    [Fact]
    public void Updates_that_are_not_clipped_leave_the_bound() =>
        Caught(inner => new UpdatesThatAreNotClipped(inner), DefinitionLaws.WithinTheBound, "Adafactor");

    [Fact]
    public void A_stack_that_is_one_matrix_leaves_the_bound() => Caught(inner => new AStackIsOneMatrix(inner), DefinitionLaws.WithinTheBound, "Adafactor");

    [Fact]
    public void A_rate_scaled_by_the_norm_leaves_the_bound() =>
        Caught(inner => new RateScaledByTheNorm(inner), DefinitionLaws.WithinTheBound, "AdafactorUnfactored");

    static void Caught(Func<IBackend, IBackend> sabotage, Law law, string card) => Caught((inner, _) => sabotage(inner), law, card);
    static void CaughtByDifferences(Func<IBackend, IBackend> sabotage, string card) =>
        Examine((inner, _) => sabotage(inner), () => new ScalarBackend<Float64>(), true, GradientLaw.Gradients, card);

    /// <summary>Over the canonical backend, and over one that sums in other orders; of that one bits are expected only where no sum is.</summary>
    static void Caught(Func<IBackend, int, IBackend> sabotage, Law law, string card)
    {
        Examine(sabotage, () => new ScalarBackend<Float32>(), true, law, card);
        var isOfBits = law == DefinitionLaws.EqualsTheDefinition || law == ShardLaws.Shards || law == ShardLaws.Products;
        if (isOfBits && OpCards.Named(card).Exactness is not Bitwise) return;
        Examine(sabotage, () => new ScalarBackend<Reordered>(), false, law, card);
    }

    static void Examine(Func<IBackend, int, IBackend> sabotage, Func<IBackend> healthy, bool isCanonical, Law law, string name)
    {
        var card = OpCards.Named(name);
        using var sound = new Subject(_ => healthy(), isCanonical);
        foreach (var drawn in Cases(card, law)) law.Demand(sound, card, drawn);

        using var broken = new Subject(threads => sabotage(healthy(), threads), isCanonical);
        var violation = Assert.Throws<LawViolation>(() =>
        {
            foreach (var drawn in Cases(card, law)) law.Demand(broken, card, drawn);
        });
        Assert.Equal((law.Name, name), (violation.Law.Name, violation.Card.Name));
        Assert.StartsWith($"{law.Name}: {name}: ", violation.Message, StringComparison.Ordinal);
    }

    /// <summary>The edges and a few samples; for differences small calm samples only, as edges hold numbers that have none.</summary>
    static IEnumerable<OpCase> Cases(OpCard card, Law law)
    {
        var differences = law == GradientLaw.Gradients;
        var samples = Enumerable.Range(1, 8).Select(seed => card.Sample(new Random(seed), differences ? 6 : 20));
        return differences ? samples : card.Edges.Concat(samples);
    }
}
