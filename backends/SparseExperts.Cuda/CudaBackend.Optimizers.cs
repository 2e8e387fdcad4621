namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    /// <summary>Half-warps of step_factor's only block: sixteen lanes each.</summary>
    const int StepGroups = 16;

    public void StepFactor(Matrix squares, Matrix loss, double clip, Matrix before, Matrix y)
    {
        Check.StepFactor(this, squares, loss, before, y);
        Launch("step_factor", new(1, 1, 1, Lanes, StepGroups),
        [
            Pointer(squares), squares.Stride, squares.Rows, Pointer(loss), (float)clip, Pointer(before),
            _fault is null ? default(DevicePointer) : Pointer(Fault()), Pointer(y),
        ]);
    }

    public void AdamW(Matrix parameter, Matrix gradient, Matrix first, Matrix second, Matrix factor, in AdamWStep step)
    {
        Check.AdamW(this, parameter, gradient, first, second, factor);
        Elements("adam_w", [parameter, gradient, first, second], Pointer(factor), (float)step.Decay, (float)(1 - step.Beta1),
            (float)step.Beta2, (float)(1 - step.Beta2), (float)-step.StepSize, (float)step.RootCorrection2, (float)step.Epsilon);
    }

    public void Adafactor(Matrix parameter, Matrix gradient, Matrix rows, Matrix columns, Matrix? momentum, Matrix factor, in AdafactorStep step)
    {
        Check.Adafactor(this, parameter, gradient, rows, columns, momentum, factor);
        if (parameter.Count == 0) return;
        int matrices = columns.Rows, height = parameter.Rows / matrices, width = parameter.Columns;
        SumTree one = new(height, height), all = new(parameter.Rows, height);
        var parts = this.Rent(all.Leaves, width);
        var scales = this.Rent(matrices, width);
        var means = this.Rent(matrices, 1);
        var rowScales = this.Rent(parameter.Rows, 1);
        var scratch = new StepScratch(this.Rent(parameter.Rows, 1), this.Rent(parameter.Rows, 1), this.Rent(2, matrices), this.Rent(1, 2));
        float epsilon = (float)step.Epsilon, keep = (float)step.Decay;

        EachRow("adafactor_rows", [parameter, gradient, rows], parameter.Rows, width,
            Pointer(factor), epsilon, keep, (float)((1 - step.Decay) / width), step.LeastScale is null ? default : Pointer(scratch.Squares));
        Elements("adafactor_blocks", [parts], parts.Rows, width, Pointer(Starts(all)), Pointer(gradient), gradient.Stride, Pointer(factor), epsilon);
        Elements("adafactor_columns", [columns, scales], matrices, width,
            Pointer(parts), Pointer(Joins(one)), one.Leaves, Pointer(factor), keep, (float)((1 - step.Decay) / height));
        EachRow("adafactor_means", [means], matrices, height, Pointer(rows), rows.Stride);
        EachRow("adafactor_squares", [gradient, rows, scales], parameter.Rows, width,
            height, Pointer(means), Pointer(factor), Pointer(rowScales), Pointer(scratch.Updates));
        Move("adafactor_step", parameter, gradient, matrices, scratch, momentum, factor, step, height, Pointer(rowScales), Pointer(scales), scales.Stride);
        foreach (var used in (ReadOnlySpan<Matrix>)[parts, scales, means, rowScales]) Return(used.Storage);
    }

    public void AdafactorUnfactored(Matrix parameter, Matrix gradient, Matrix second, Matrix? momentum, Matrix factor, in AdafactorStep step)
    {
        Check.AdafactorUnfactored(this, parameter, gradient, second, momentum, factor);
        if (parameter.Count == 0) return;
        var scratch = new StepScratch(this.Rent(parameter.Rows, 1), this.Rent(parameter.Rows, 1), this.Rent(2, 1), this.Rent(1, 2));
        EachRow("adafactor_second", [parameter, gradient, second], parameter.Rows, parameter.Columns,
            Pointer(factor), (float)step.Epsilon, (float)step.Decay, (float)(1 - step.Decay),
            Pointer(scratch.Updates), step.LeastScale is null ? default : Pointer(scratch.Squares));
        Move("adafactor_step_unfactored", parameter, gradient, 1, scratch, momentum, factor, step, Pointer(second), second.Stride);
    }

    /// <summary>Squares of the rows of an update and of its parameter, their sums over matrices, and what the step multiplies by.</summary>
    readonly record struct StepScratch(Matrix Updates, Matrix Squares, Matrix Sums, Matrix Size);

    /// <summary>Clips the update by its root mean square and takes it from the parameter.</summary>
    /// <param name="rest">What the kernel knows the update by.</param>
    void Move(string kernel, Matrix parameter, Matrix gradient, int matrices, StepScratch scratch, Matrix? momentum, Matrix factor,
        in AdafactorStep step,
        params ReadOnlySpan<KernelArgument> rest)
    {
        Launch("adafactor_size", new(1, 1, 1, Lanes, RowsOfBlock),
        [
            Pointer(scratch.Updates), step.LeastScale is null ? default(DevicePointer) : Pointer(scratch.Squares), Pointer(scratch.Sums),
            matrices, parameter.Rows / matrices, (float)parameter.Count,
            (float)step.Rate, (float)(step.LeastScale ?? 0), (float)step.ClipThreshold, (float)step.WeightDecay, Pointer(factor), Pointer(scratch.Size),
        ]);
        Elements(kernel, [parameter, gradient], parameter.Rows, parameter.Columns,
        [
            momentum is { } m ? Pointer(m) : default, momentum?.Stride ?? 0, (float)step.Beta1, (float)(1 - step.Beta1),
            Pointer(scratch.Size), Pointer(factor),
            .. rest,
        ]);
        foreach (var used in (ReadOnlySpan<Matrix>)[scratch.Updates, scratch.Squares, scratch.Sums, scratch.Size]) Return(used.Storage);
    }
}
