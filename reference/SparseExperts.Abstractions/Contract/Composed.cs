namespace SparseExperts;

/// <summary>
/// Default bodies: ops that are made of others, with the bits that the definition has. A backend that has none of its own works with these from the day
/// on which the op is added, and overrides them for speed. Every one is held to its card by laws on a backend that overrides nothing.
/// </summary>
public partial interface IBackend
{
    /// <summary>Blocks of the tree one after the other, each a chain of products; their sums on a stack, joined by halves.</summary>
    void ILinearAlgebra.GemmOuter(Matrix a, Matrix b, Matrix c, int sequence, bool accumulate)
    {
        Check.GemmOuter(this, a, b, c, sequence);
        var tree = new SumTree(a.Rows, sequence);
        var sums = this.Rent(Math.Max(1, tree.Height) * c.Rows, c.Columns);
        Matrix Sum(int place) => sums.RowRange(place * c.Rows, c.Rows);
        if (tree.Leaves == 0) Fill(Sum(0), 0);
        for (int leaf = 0, count = 0; leaf < tree.Leaves; leaf++)
        {
            var (start, rows, joins) = tree[leaf];
            for (var done = 0; done < rows; done += SumTree.ProductBlock)      // so many terms are one chain, and the next ones go on with it
            {
                var some = Math.Min(SumTree.ProductBlock, rows - done);
                Gemm(a.RowRange(start + done, some), true, b.RowRange(start + done, some), false, Sum(count), done > 0);
            }
            for (count++; joins > 0; joins--, count--) Add(Sum(count - 2), Sum(count - 1), Sum(count - 2));
        }
        if (accumulate) Add(c, Sum(0), c);
        else Copy(Sum(0), c);
        Return(sums.Storage);
    }

    /// <summary>A copy, to which the product is added.</summary>
    void ILinearAlgebra.GemmAdd(Matrix start, Matrix a, Matrix b, Matrix c)
    {
        Check.GemmAdd(this, start, a, b, c);
        Copy(start, c);
        Gemm(a, false, b, false, c, true);
    }

    /// <summary>One after the other.</summary>
    void ILinearAlgebra.LinearBackward(
        Matrix x, Matrix w, bool transposeW, Matrix dy, int sequence, Matrix dx, bool accumulateX, Matrix dw, bool accumulateW)
    {
        Check.LinearBackward(this, x, w, transposeW, dy, sequence, dx, dw);
        Gemm(dy, false, w, !transposeW, dx, accumulateX);
        if (transposeW) GemmOuter(dy, x, dw, sequence, accumulateW);
        else GemmOuter(x, dy, dw, sequence, accumulateW);
    }

    /// <summary>One after the other.</summary>
    void ILinearAlgebra.GemmGroupedBackward(Matrix a, Matrix b, Matrix dc, Indices offsets, Matrix da, bool accumulateA, Matrix db, bool accumulateB)
    {
        GemmGrouped(dc, b, true, da, offsets, accumulateA);
        GemmGroupedOuter(a, dc, db, offsets, accumulateB);
    }

    /// <summary>One after the other.</summary>
    void ILinearAlgebra.GemmGroupedActivate(Matrix a, Matrix b, Indices offsets, Activation kind, Matrix c, Matrix y)
    {
        Check.GemmGroupedActivate(this, a, b, offsets, c, y);
        GemmGrouped(a, b, false, c, offsets, false);
        Activate(kind, c, y);
    }

    /// <summary>dC·Bᵀ through the function.</summary>
    void ILinearAlgebra.GemmGroupedActivateBackward(
        Activation kind, Matrix x, Matrix a, Matrix b, Matrix dc, Indices offsets, Matrix dx, Matrix db, bool accumulateB)
    {
        Check.GemmGroupedActivateBackward(this, x, a, b, dc, offsets, dx, db);
        var slopes = this.Rent(x.Rows, x.Columns);
        GemmGrouped(dc, b, true, slopes, offsets, false);
        GemmGroupedOuter(a, dc, db, offsets, accumulateB);
        ActivateBackward(kind, x, slopes, dx, false);
        Return(slopes.Storage);
    }

    /// <summary>f(gate), then times linear.</summary>
    void IPointwise.Gated(Activation kind, Matrix gate, Matrix linear, Matrix y)
    {
        Check.Gated(this, gate, linear, y);
        var value = this.Rent(gate.Rows, gate.Columns);
        Activate(kind, gate, value);
        Multiply(value, linear, y, false);
        Return(value.Storage);
    }

    /// <summary>dY ∘ linear through the function; dY ∘ f(gate) rounded before it is added.</summary>
    void IPointwise.GatedBackward(
        Activation kind, Matrix gate, Matrix linear, Matrix dy, Matrix dGate, bool accumulateGate, Matrix dLinear, bool accumulateLinear)
    {
        Check.GatedBackward(this, gate, linear, dy, dGate, dLinear);
        Matrix product = this.Rent(gate.Rows, gate.Columns), value = this.Rent(gate.Rows, gate.Columns);
        Multiply(dy, linear, product, false);
        ActivateBackward(kind, gate, product, dGate, accumulateGate);
        Activate(kind, gate, value);
        Multiply(dy, value, product, false);
        if (accumulateLinear) Add(dLinear, product, dLinear);
        else Copy(product, dLinear);
        Return(product.Storage);
        Return(value.Storage);
    }

    /// <summary>By way of the host, which rounds what it writes.</summary>
    void IPointwise.Cast(Matrix x, Matrix y)
    {
        Check.Cast(this, x, y);
        this.Write(y, (ReadOnlySpan<double>)this.ToDoubles(x));
    }

    /// <summary>As many rows as the tables have, head by head: one half is u∘cos with −v∘sin fused in, the other v∘cos with u∘sin.</summary>
    void IPointwise.Rotary(Matrix x, Matrix cosines, Matrix sines, int headWidth, bool inverse, Matrix y, bool accumulate)
    {
        Check.Rotary(this, x, cosines, sines, headWidth, y);
        int half = headWidth / 2, positions = cosines.Rows;
        Matrix minus = this.Rent(positions, half), left = this.Rent(positions, half), right = this.Rent(positions, half);
        Scale(sines, -1, minus, false);
        var (plus, opposite) = inverse ? (minus, sines) : (sines, minus);
        for (var start = 0; start < x.Rows; start += positions)
        {
            var rows = Math.Min(positions, x.Rows - start);
            for (var head = 0; head < x.Columns; head += headWidth)
            {
                Matrix u = Half(x, 0), v = Half(x, half), first = left.RowRange(0, rows), second = right.RowRange(0, rows);
                Turn(u, v, opposite, first);
                Turn(v, u, plus, second);
                Put(first, Half(y, 0));
                Put(second, Half(y, half));

                Matrix Half(Matrix of, int offset) => of.RowRange(start, rows).ColumnRange(head + offset, half);
            }

            void Turn(Matrix own, Matrix other, Matrix sine, Matrix to)
            {
                Multiply(own, cosines.RowRange(0, rows), to, false);
                Multiply(other, sine.RowRange(0, rows), to, true);
            }
        }
        foreach (var scratch in (Matrix[])[minus, left, right]) Return(scratch.Storage);

        void Put(Matrix value, Matrix to)
        {
            if (accumulate) Add(to, value, to);
            else Copy(value, to);
        }
    }

    /// <summary>One dot product of a run with itself after the other.</summary>
    void IRows.RunSquares(Matrix x, Indices offsets, Matrix y)
    {
        Check.RunSquares(this, x, offsets, y);
        var bounds = this.ToArray(offsets);
        Check.Indices(new("RunSquares", x.Columns, null), bounds);
        for (var run = 0; run < y.Rows; run++)
        {
            var part = x.ColumnRange(bounds[run], bounds[run + 1] - bounds[run]);
            RowDots(part, part, y.RowRange(run, 1), false);
        }
    }

    /// <summary>For every target the rows that name it, and zeros in place of the others, summed over tokens: a 0 changes no chain that starts at +0.</summary>
    void IIndexing.ScatterAddTokens(Matrix x, Indices rows, Matrix y, int sequence)
    {
        Check.RowIndices(this, "ScatterAddTokens", x, y, rows, x.Rows);
        Check.Sequence("ScatterAddTokens", sequence);
        var index = this.ToArray(rows);
        Check.Indices(new("ScatterAddTokens", y.Rows, -1), index);
        var named = this.Rent(x.Rows, x.Columns);
        foreach (var target in index.Where(i => i >= 0).Distinct())
        {
            var chosen = this.Upload([.. index.Select((i, row) => i == target ? row : -1)]);
            GatherRows(x, chosen, named, false);
            SumColumns(named, y.RowRange(target, 1), sequence, true);
            Return(chosen.Storage);
        }
        Return(named.Storage);
    }

    /// <summary>The formula, an operation at a time.</summary>
    void IOptimizers.AdamW(Matrix parameter, Matrix gradient, Matrix first, Matrix second, Matrix factor, in AdamWStep step)
    {
        Check.AdamW(this, parameter, gradient, first, second, factor);
        var scale = new float[1];
        this.Read(factor, scale);
        if (!float.IsFinite(scale[0])) return;
        int rows = parameter.Rows, columns = parameter.Columns;
        Matrix scaled = this.Rent(rows, columns), change = this.Rent(rows, columns), constant = this.Rent(rows, columns);
        Scale(gradient, scale[0], scaled, false);

        Scale(first, -1, change, false);                        // m ← m + (1−β₁)(g − m)
        Add(scaled, change, change);
        Scale(change, 1 - step.Beta1, first, true);

        Scale(scaled, 1 - step.Beta2, change, false);           // v ← β₂v + (1−β₂)g·g
        Scale(second, step.Beta2, second, false);
        Multiply(change, scaled, second, true);

        Activate(Activation.Sqrt, second, change);              // √v/√c₂ + ε
        Fill(constant, step.RootCorrection2);
        Divide(change, constant, scaled, false);
        Fill(constant, step.Epsilon);
        Add(scaled, constant, scaled);

        Divide(first, scaled, change, false);                   // p ← decay·p − size·m/…
        Scale(parameter, step.Decay, parameter, false);
        Scale(change, -step.StepSize, parameter, true);
        foreach (var scratch in (Matrix[])[scaled, change, constant]) Return(scratch.Storage);
    }
}
